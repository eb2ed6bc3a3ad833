-- Who looks at the figures of the server and at no table of a service; variable: password.
SELECT 'CREATE ROLE lianhu_monitor' WHERE to_regrole('lianhu_monitor') IS NULL \gexec
ALTER ROLE lianhu_monitor LOGIN PASSWORD :'password' CONNECTION LIMIT 5;
GRANT pg_monitor TO lianhu_monitor;
GRANT CONNECT ON DATABASE postgres TO lianhu_monitor;
