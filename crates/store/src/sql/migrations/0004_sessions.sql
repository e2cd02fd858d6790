-- People at the console: codes that let somebody in once, and their sessions.
CREATE TABLE login_code (
    sha256     TEXT PRIMARY KEY,
    account    TEXT NOT NULL REFERENCES account (id),
    expires_at INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT;

CREATE TABLE session (
    id      TEXT PRIMARY KEY,
    cookie  TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES account (id),
    until   INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT;
CREATE INDEX session_account ON session (account);
CREATE INDEX session_until ON session (until);
