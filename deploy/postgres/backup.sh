#!/bin/sh
# A base backup of the whole server, beside the archive of its log, while everything runs.
# Argument: the folder of backups. Server and password are told by libpq's own variables.
set -eu
backups=${1:-/var/lib/lianhu-backup}
if [ -r /run/secrets/postgres-admin ]; then
    PGHOST=127.0.0.1 PGUSER=lianhu_admin PGPASSWORD=$(cat /run/secrets/postgres-admin)
    export PGHOST PGUSER PGPASSWORD
fi
name=base-$(date -u +%Y%m%dT%H%M%SZ)
rm -rf "$backups/base.new"
pg_basebackup -D "$backups/base.new" -c fast -X stream --no-password
pg_verifybackup -q "$backups/base.new"
mv "$backups/base.new" "$backups/$name"
# what was written meanwhile goes to the archive now, not when its segment is full
psql -X -q -A -t -d postgres -c 'SELECT pg_switch_wal()' >/dev/null
echo "$name"
