-- Enforcement points in other processes.
CREATE TABLE point (
    name   TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    body   TEXT NOT NULL
) STRICT;
