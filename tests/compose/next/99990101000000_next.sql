-- migrate:up
-- Expand only: the release before neither reads nor writes what is new here.
ALTER TABLE aggregates ADD COLUMN next_release integer;
ALTER TABLE journal ADD COLUMN next_release integer NOT NULL DEFAULT 0;
CREATE TABLE next_release (id bigint PRIMARY KEY);

-- migrate:down
