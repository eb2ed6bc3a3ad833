#!/bin/sh
# Lay the data directory out as a base backup with the archived log behind it; the next start
# replays that, up to the target, and goes on from there. The server must be stopped.
# Arguments: data directory, folder of backups, target (time=…, lsn=…, name=…; none: all of the
# log), base backup (none: the newest). What was there is kept beside, by the hour of the restore.
set -eu
data=${1:-$PGDATA} backups=${2:-/var/lib/lianhu-backup} target=${3:-} base=${4:-}
if [ -z "$base" ]; then
    for found in "$backups"/base-*; do base=$(basename "$found"); done
fi
if [ ! -s "$backups/$base/PG_VERSION" ]; then
    echo "there is no base backup $base in $backups" >&2
    exit 1
fi
if [ -e "$data/postmaster.pid" ]; then
    echo "the server still runs, or died: stop it in order, or start it once, before a restore" >&2
    exit 1
fi
draft=$data.new
rm -rf "$draft"
cp -a "$backups/$base" "$draft"
settings=$draft/postgresql.auto.conf
# an earlier restore left its own: two targets would be refused
sed -i -e '/^recovery_target/d' -e '/^restore_command/d' -e '/^hot_standby/d' "$settings"
printf "restore_command = 'cp \"%s/wal/%%f\" \"%%p\"'\n" "$backups" >>"$settings"
printf "recovery_target_action = 'promote'\n" >>"$settings"
# nobody is let in before all of it is replayed
printf "hot_standby = 'off'\n" >>"$settings"
# in its settings PostgreSQL knows no names of time zones, and Z is one
case $target in time=*Z) target=${target%Z}+00 ;; esac
if [ -n "$target" ]; then
    printf "recovery_target_%s = '%s'\n" "${target%%=*}" "${target#*=}" >>"$settings"
fi
: >"$draft/recovery.signal"
if [ -e "$data" ]; then
    # the last of the log may not be in the archive
    for segment in "$data"/pg_wal/[0-9A-F]*; do
        name=$(basename "$segment")
        if [ -f "$segment" ] && [ ! -e "$backups/wal/$name" ]; then
            cp -p "$segment" "$draft/pg_wal/$name"
        fi
    done
    mv "$data" "$data.before-$(date -u +%Y%m%dT%H%M%SZ)"
fi
mv "$draft" "$data"
echo "$base is laid out; the log behind it is replayed at the next start"
