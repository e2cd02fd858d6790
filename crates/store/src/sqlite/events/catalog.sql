-- Which days there are, how far each log is in them, and on which days somebody was seen.
CREATE TABLE log (
    origin TEXT PRIMARY KEY,
    next   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE day (
    day    TEXT NOT NULL,
    origin TEXT NOT NULL,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (day, origin)
) STRICT, WITHOUT ROWID;
CREATE TABLE seen (
    kind  TEXT NOT NULL,
    value TEXT NOT NULL,
    day   TEXT NOT NULL,
    PRIMARY KEY (kind, value, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE pruned (
    before TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
