-- migrate:up
-- Of the next release: it fits the one before, and changes what that one has asked for already.
INSERT INTO passed_over VALUES ('lianhu.mediation.case-weighed.v1');
ALTER TABLE aggregates ADD COLUMN weighed_at timestamptz;
ALTER TABLE progress ALTER COLUMN partition TYPE bigint;
CREATE INDEX journal_time ON journal (time);

-- migrate:down
