#!/bin/sh
# A base backup of the whole server, beside the archive of its log, while everything runs.
# Arguments: the folder of backups; how many base backups are kept (none: all). Older ones go then,
# and the log that only they needed. Server and password are told by libpq's own variables.
set -eu
backups=${1:-/var/lib/lianhu-backup} kept=${2:-}
case $kept in
0* | *[!0-9]*) echo "$kept is no number of base backups to keep" >&2 && exit 2 ;;
esac
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
if [ -n "$kept" ]; then
    set -- "$backups"/base-*
    while [ $# -gt "$kept" ]; do
        rm -rf "$1"
        shift
    done
    first=$(sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]*\))$/\1/p' "$1/backup_label")
    pg_archivecleanup "$backups/wal" "$first"
fi
