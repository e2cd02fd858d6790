-- What is asked for by a column has a column; everything else of a thing is in `body`, its JSON.
-- Ids are TypeIDs: their text sorts by age. Instants are microseconds since the Unix epoch.

CREATE TABLE change (
    seq  INTEGER PRIMARY KEY,
    key  TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE agent (
    name    TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT;

CREATE TABLE instance (
    id        TEXT PRIMARY KEY,
    agent     TEXT NOT NULL,
    pid       INTEGER NOT NULL,
    pid_start INTEGER NOT NULL,
    state     TEXT NOT NULL,
    body      TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX instance_process ON instance (pid, pid_start) WHERE state = 'live';
CREATE INDEX instance_live ON instance (agent, id) WHERE state = 'live';

CREATE TABLE task (
    id         TEXT PRIMARY KEY,
    parent     TEXT REFERENCES task (id),
    root       TEXT NOT NULL,
    depth      INTEGER NOT NULL,
    agent      TEXT NOT NULL,
    user       TEXT NOT NULL,
    state      TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT;
CREATE INDEX task_parent ON task (parent);
CREATE INDEX task_root ON task (root, id);
CREATE INDEX task_open_agent ON task (agent, id) WHERE state = 'open';
CREATE INDEX task_open_user ON task (user, id) WHERE state = 'open';
CREATE INDEX task_open_due ON task (expires_at) WHERE state = 'open';

CREATE TABLE server (
    name    TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT;

CREATE TABLE tool (
    server  TEXT NOT NULL REFERENCES server (name),
    name    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (server, name)
) STRICT;

CREATE TABLE approval (
    id          TEXT PRIMARY KEY,
    call_digest TEXT NOT NULL,
    task        TEXT NOT NULL REFERENCES task (id),
    state       TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    body        TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX approval_live_call ON approval (call_digest) WHERE state IN ('pending', 'approved');
CREATE INDEX approval_live_due ON approval (expires_at) WHERE state IN ('pending', 'approved');
CREATE INDEX approval_task ON approval (task, id);
CREATE INDEX approval_state ON approval (state, id);

CREATE TABLE fence (
    id      TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    seq     INTEGER NOT NULL UNIQUE,
    body    TEXT NOT NULL
) STRICT;
CREATE INDEX fence_subject ON fence (subject, seq);

CREATE TABLE revocation (
    id   TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE lease (
    id         TEXT PRIMARY KEY,
    task       TEXT NOT NULL REFERENCES task (id),
    instance   TEXT,
    credential TEXT NOT NULL,
    state      TEXT NOT NULL,
    version    INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT;
CREATE INDEX lease_task ON lease (task, id);
CREATE INDEX lease_live ON lease (id) WHERE state <> 'tombstone';
CREATE INDEX lease_live_instance ON lease (instance, id) WHERE state <> 'tombstone';

CREATE TABLE secret (
    name       TEXT PRIMARY KEY,
    sealed     BLOB NOT NULL,
    version    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE signing_key (
    kid            TEXT PRIMARY KEY,
    class          TEXT NOT NULL,
    sealed_private BLOB NOT NULL,
    jwk            TEXT,
    certificate    BLOB,
    state          TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    not_after      INTEGER NOT NULL,
    CHECK ((jwk IS NULL) <> (certificate IS NULL))
) STRICT;
CREATE UNIQUE INDEX signing_key_active ON signing_key (class) WHERE state = 'active';

CREATE TABLE token (
    jti  TEXT PRIMARY KEY,
    task TEXT NOT NULL REFERENCES task (id),
    exp  INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX token_task ON token (task, jti);
CREATE INDEX token_exp ON token (exp);

CREATE TABLE policy_source (
    digest TEXT PRIMARY KEY,
    source TEXT NOT NULL
) STRICT;

CREATE TABLE policy_version (
    number INTEGER PRIMARY KEY,
    digest TEXT NOT NULL REFERENCES policy_source (digest),
    body   TEXT NOT NULL
) STRICT;

CREATE TABLE account (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE api_token (
    sha256     TEXT PRIMARY KEY,
    account    TEXT NOT NULL REFERENCES account (id),
    expires_at INTEGER NOT NULL,
    minted_by  TEXT NOT NULL
) STRICT;
CREATE INDEX api_token_account ON api_token (account);
CREATE INDEX api_token_expires ON api_token (expires_at);

CREATE TABLE pseudonym (
    user      TEXT PRIMARY KEY,
    pseudonym TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE outbox (
    seq   INTEGER PRIMARY KEY,
    event TEXT NOT NULL UNIQUE,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
