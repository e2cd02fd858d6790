-- The event that tells of a change: what it sets off names that event as its cause.
ALTER TABLE change ADD COLUMN event TEXT;
