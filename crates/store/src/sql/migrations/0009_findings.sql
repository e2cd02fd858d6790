-- What scans found, by keyed print; and the prints of what was leased, so that it is recognised.
CREATE TABLE finding (
    id      TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    rule    TEXT NOT NULL,
    state   TEXT NOT NULL,
    target  TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX finding_subject ON finding (subject, rule);
CREATE INDEX finding_target ON finding (target, id);

CREATE TABLE lease_print (
    print TEXT NOT NULL,
    lease TEXT NOT NULL,
    PRIMARY KEY (print, lease)
) STRICT;
