-- OAuth clients, and what they exchange for tokens.
CREATE TABLE oauth_client (
    id   TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE voucher (
    sha256      TEXT PRIMARY KEY,
    task        TEXT NOT NULL REFERENCES task (id),
    unused_code INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    keep_until  INTEGER NOT NULL,
    body        TEXT NOT NULL
) STRICT;
CREATE INDEX voucher_unused ON voucher (expires_at) WHERE unused_code = 1;
CREATE INDEX voucher_keep ON voucher (keep_until);
