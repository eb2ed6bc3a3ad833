-- migrate:up
-- Types of events that a release which does not know them passes over when it folds a journal. A
-- release that writes a new type names it here, in a migration of its service. One that is not
-- named keeps older replicas from every stream where it stands.
CREATE TABLE passed_over (type text PRIMARY KEY);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_database()) THEN
        EXECUTE format('GRANT SELECT ON passed_over TO %I', current_database());
    END IF;
END
$$;

-- migrate:down
