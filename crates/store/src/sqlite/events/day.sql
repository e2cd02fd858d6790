-- The index of one UTC day. Everything in it can be made again from the log.
CREATE TABLE progress (
    origin TEXT PRIMARY KEY,
    next   INTEGER NOT NULL                 -- leaves below it are here, as far as they are of this day
) STRICT, WITHOUT ROWID;
CREATE TABLE term (
    code  INTEGER PRIMARY KEY,
    kind  TEXT NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (kind, value)
) STRICT;
CREATE TABLE event (
    place    INTEGER PRIMARY KEY,           -- term of the log << 40 | leaf
    hlc      INTEGER NOT NULL,
    id       BLOB NOT NULL,
    type     INTEGER NOT NULL,
    task     INTEGER,                       -- root of its tree
    agent    INTEGER,
    instance INTEGER,
    user     INTEGER,
    actor    INTEGER,
    server   INTEGER,
    tool     INTEGER,
    effect   INTEGER,                       -- 1 read, 2 write, 3 escalate
    decision INTEGER,                       -- 1 allow, 2 deny, 3 step_up
    code     INTEGER,
    lease    INTEGER,
    cause    BLOB
) STRICT;
CREATE INDEX event_hlc ON event (hlc);
CREATE INDEX event_type ON event (type, hlc);
CREATE INDEX event_id ON event (id);
CREATE INDEX event_task ON event (task, hlc) WHERE task IS NOT NULL;
CREATE INDEX event_agent ON event (agent, hlc) WHERE agent IS NOT NULL;
CREATE INDEX event_user ON event (user, hlc) WHERE user IS NOT NULL;
CREATE INDEX event_lease ON event (lease, hlc) WHERE lease IS NOT NULL;
CREATE INDEX event_cause ON event (cause) WHERE cause IS NOT NULL;
CREATE INDEX event_refused ON event (tool, hlc) WHERE decision > 1;
-- Further values of keys that may have several: tasks and agents of the chain, labels.
CREATE TABLE mention (
    term  INTEGER NOT NULL,
    hlc   INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (term, hlc, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE resource (
    token INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (token, place)
) STRICT, WITHOUT ROWID;
-- What is written are words already: runs of letters and digits, in lower case. ASCII letters are matched as they are, everything else counts as a letter.
CREATE VIRTUAL TABLE words USING fts5 (text, content = '', detail = 'none', columnsize = 0, tokenize = 'ascii');
