-- What tools name, with the labels of what was written into it; and what the tasks of a process have picked up.
CREATE TABLE item (
    server  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (server, kind, id)
) STRICT;

CREATE TABLE instance_label (
    instance TEXT PRIMARY KEY,
    labels   TEXT NOT NULL
) STRICT;
