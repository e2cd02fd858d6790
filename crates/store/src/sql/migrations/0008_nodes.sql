-- What belongs to one node of several on the same database: its processes, and what it has to put on its own log.
ALTER TABLE instance ADD COLUMN node TEXT NOT NULL DEFAULT '';
DROP INDEX instance_process;
CREATE UNIQUE INDEX instance_process ON instance (node, pid, pid_start) WHERE state = 'live';

ALTER TABLE outbox ADD COLUMN node TEXT NOT NULL DEFAULT '';
CREATE INDEX outbox_node ON outbox (node, seq);
