-- migrate:up
-- The messages on the units' screens 站内消息. A row is written once and never changed.
CREATE TABLE in_app (
    notice      text        PRIMARY KEY,         -- a further attempt finds its row and adds none
    at          timestamptz NOT NULL,            -- domain time at which the attempt began
    unit        text        NOT NULL,
    role        text        NOT NULL,
    case_number text        NOT NULL,
    about_type  text        NOT NULL,
    subject_zh  text        NOT NULL,
    text_zh     text        NOT NULL,
    subject_en  text        NOT NULL,
    text_en     text        NOT NULL
);
CREATE INDEX in_app_unit ON in_app (unit, at DESC, notice DESC);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_database()) THEN
        EXECUTE format('GRANT SELECT, INSERT ON in_app TO %I', current_database());
    END IF;
END
$$;

-- migrate:down
