-- Reports about the code that agents run: of each kind, tool and signer the newest. Which commits a provenance names, and what follows for
-- each executable.
CREATE TABLE artefact_report (
    subject TEXT NOT NULL,
    kind    TEXT NOT NULL,
    tool    TEXT NOT NULL,
    signer  TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (subject, kind, tool, signer)
) STRICT;

CREATE TABLE artefact_commit (
    id      TEXT NOT NULL,
    subject TEXT NOT NULL,
    tool    TEXT NOT NULL,
    signer  TEXT NOT NULL,
    PRIMARY KEY (id, subject, tool, signer)
) STRICT;
CREATE INDEX artefact_commit_subject ON artefact_commit (subject);

CREATE TABLE artefact_evidence (
    code    TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT;
