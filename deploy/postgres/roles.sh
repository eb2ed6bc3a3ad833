#!/bin/sh
# Databases and roles, by the administrator over the network; run again it renews passwords.
set -eu
here=/etc/lianhu/postgres
PGPASSWORD=$(cat /run/secrets/postgres-admin)
export PGPASSWORD
{
    echo 'REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;'
    echo "\\set password \`cat /run/secrets/postgres-monitor\`"
    cat "$here/monitor.sql"
    for name in intake mediation welfare notify; do
        echo "\\set name $name"
        echo "\\set password \`cat /run/secrets/postgres-$name\`"
        echo "\\set owner_password \`cat /run/secrets/postgres-${name}_owner\`"
        cat "$here/database.sql"
    done
} | psql -X -q -v ON_ERROR_STOP=1 -h postgres -U lianhu_admin -d postgres -f -
echo 'databases and roles are there'
