-- One service's database with its two roles, for psql with the variables name, password and
-- owner_password. Harmless when run again; a password that was renewed is then in force.
--
-- The owner migrates; the runtime role may do nothing but what migrations grant it. Neither can
-- connect to another service's database, and nobody else to this one.
\set owner :name _owner
SELECT format('CREATE ROLE %I', :'owner') WHERE to_regrole(:'owner') IS NULL \gexec
SELECT format('CREATE ROLE %I', :'name') WHERE to_regrole(:'name') IS NULL \gexec
ALTER ROLE :"owner" LOGIN PASSWORD :'owner_password';
ALTER ROLE :"name" LOGIN PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'owner')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"name" TO :"name", :"owner";
\connect :name
ALTER SCHEMA public OWNER TO :"owner";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :"name";
\connect postgres
