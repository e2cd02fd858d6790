-- Instances elsewhere: no process of ours, and an end that time sets. What a process had to have, they leave out.

CREATE TABLE instance_any (
    id        TEXT PRIMARY KEY,
    agent     TEXT NOT NULL,
    pid       INTEGER,
    pid_start INTEGER,
    until     INTEGER,
    state     TEXT NOT NULL,
    body      TEXT NOT NULL,
    CHECK ((pid IS NULL) = (pid_start IS NULL) AND (pid IS NULL) <> (until IS NULL))
) STRICT;
INSERT INTO instance_any (id, agent, pid, pid_start, until, state, body)
    SELECT id, agent, pid, pid_start, NULL, state, body FROM instance;
DROP TABLE instance;
ALTER TABLE instance_any RENAME TO instance;
CREATE UNIQUE INDEX instance_process ON instance (pid, pid_start) WHERE state = 'live';
CREATE INDEX instance_live ON instance (agent, id) WHERE state = 'live';
CREATE INDEX instance_due ON instance (until) WHERE state = 'live';

CREATE TABLE join_token (
    id         TEXT PRIMARY KEY,
    sha256     TEXT NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    body       TEXT NOT NULL
) STRICT;
CREATE INDEX join_token_expires ON join_token (expires_at);

-- Digests of evidence that is good for one use, until it is good for none.
CREATE TABLE spent (
    sha256     TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX spent_expires ON spent (expires_at);
