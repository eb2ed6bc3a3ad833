#!/bin/sh
# PostgreSQL in a container, official image or stand-in: laid out at the first start, then run.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # made beside and moved when whole, so that a start that was cut short leaves no half
    rm -rf "$PGDATA" "$PGDATA.new"
    initdb -D "$PGDATA.new" -U lianhu_admin --pwfile=/run/secrets/postgres-admin \
        -A scram-sha-256 -E UTF8 --locale-provider=builtin --locale=C.UTF-8 --no-instructions
    mv "$PGDATA.new" "$PGDATA"
fi
backups=/var/lib/lianhu-backup
archive=off
if mkdir -p "$backups/wal" 2>/dev/null && [ -w "$backups/wal" ]; then
    archive=on
else
    echo "no log is archived: $backups cannot be written" >&2
fi
exec postgres -D "$PGDATA" -c archive_mode=$archive \
    -c "archive_command=sh /etc/lianhu/postgres/archive.sh \"%p\" \"%f\" $backups/wal" \
    -c config_file=/etc/lianhu/postgres/postgresql.conf \
    -c hba_file=/etc/lianhu/postgres/pg_hba.conf \
    -c listen_addresses='*' -c unix_socket_directories=
