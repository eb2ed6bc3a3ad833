-- migrate:up
-- The engine's tables, the same in every service's database.

-- The present state of each stream. `state` is text: it is read back byte by byte as it was written.
CREATE TABLE aggregates (
    stream   text PRIMARY KEY,
    version  integer     NOT NULL DEFAULT 0,     -- rows of this stream in the journal
    head     bytea,                              -- hash of the last of them
    at       timestamptz,                        -- domain time of the last of them
    shape    smallint    NOT NULL DEFAULT 0,     -- of the state; lower than the release's: refold
    state    text,                               -- JSON; null while nothing has happened here
    seen     text        NOT NULL DEFAULT '{}',  -- producer -> [epoch, sequence, hash] handled last
    next_due timestamptz                         -- the earliest deadline of the state
) WITH (fillfactor = 80);
CREATE INDEX aggregates_due ON aggregates (next_due) WHERE next_due IS NOT NULL;

-- What happened, in commit order. Rows are appended and never changed.
CREATE TABLE journal (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream      text        NOT NULL,
    version     integer     NOT NULL,
    epoch       integer     NOT NULL,
    id          text        NOT NULL,
    type        text        NOT NULL,
    time        timestamptz NOT NULL,
    causation   text,
    correlation text,
    trace       text,
    answers     text,                            -- the publisher to whom this is the answer
    body        text        NOT NULL,
    hash        bytea       NOT NULL,
    UNIQUE (stream, version)
);

-- What came on public topics. An id is unique in its topic; no id: partition and offset.
CREATE TABLE inbox (
    topic  text        NOT NULL,
    id     text        NOT NULL,
    digest bytea       NOT NULL,
    at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, id)
);
CREATE INDEX inbox_at ON inbox (at);

-- The dead letters 死信 and what waits for another message. `body` is the sealed record.
CREATE TABLE parked (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter    text        NOT NULL UNIQUE,
    topic     text        NOT NULL,
    partition integer     NOT NULL,
    "offset"  bigint      NOT NULL,
    stamp     bigint      NOT NULL,              -- the broker's time of the record, ms
    source    text        NOT NULL,              -- the producing service, or the public topic
    stream    text,
    sequence  integer,
    reason    text        NOT NULL,
    faults    text        NOT NULL DEFAULT '[]',
    body      bytea       NOT NULL,
    due       timestamptz,                       -- when it is tried again; null: when somebody says so
    attempts  integer     NOT NULL DEFAULT 0,
    at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (topic, partition, "offset")
);
CREATE INDEX parked_stream ON parked (stream, source);
CREATE INDEX parked_due ON parked (due) WHERE due IS NOT NULL;
CREATE INDEX parked_reason ON parked (reason, source, id);

-- How far each partition was handled by this service, by whichever replica.
CREATE TABLE progress (
    topic     text        NOT NULL,
    partition integer     NOT NULL,
    "offset"  bigint      NOT NULL,              -- the next one to handle
    at        timestamptz NOT NULL,              -- broker time of the last one handled
    PRIMARY KEY (topic, partition)
);

-- How far the journal was published.
CREATE TABLE relay_cursor (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint NOT NULL
);
INSERT INTO relay_cursor (seq) VALUES (0);

-- Raised when the database was restored to an earlier point.
CREATE TABLE epochs (
    epoch integer     PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);
INSERT INTO epochs (epoch) VALUES (1);

-- Wrapped data keys; a journal holds none, so that erasing a key erases what it sealed.
CREATE TABLE case_keys (
    id               text  PRIMARY KEY,
    wrapped          bytea NOT NULL,                 -- empty once erased
    erased_at        timestamptz,                    -- the row stays: an old header brings no key back
    restricted_until timestamptz                     -- kept by a duty, and opened for nobody till then
);

-- Blind index -> reference of a person. Journals hold references only.
CREATE TABLE person_refs (
    index bytea PRIMARY KEY,
    ref   text  NOT NULL
);
CREATE INDEX person_refs_ref ON person_refs (ref);

-- Blocks of case numbers are taken from here, each in a transaction of its own.
CREATE TABLE counters (
    name text   PRIMARY KEY,
    next bigint NOT NULL
);

-- Moved time, for demo and tests: from this broker time on, domain time is ahead by so much.
CREATE TABLE clock (
    from_at timestamptz PRIMARY KEY,
    ahead   interval NOT NULL
);

-- The runtime role is named as the database. It reads and writes, and changes no journal row.
DO $$
DECLARE
    runtime text := current_database();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = runtime) THEN
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON aggregates, inbox, parked, progress,'
            ' relay_cursor, case_keys, person_refs, counters, clock TO %I', runtime);
        EXECUTE format('GRANT SELECT, INSERT ON journal TO %I', runtime);
        EXECUTE format('GRANT SELECT ON epochs TO %I', runtime);
    END IF;
END
$$;

-- migrate:down
