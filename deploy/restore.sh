#!/bin/sh
# The deployment's databases as they were; what each service then finds lost is listed.
# Arguments: target (time=2026-03-02T10:00:00Z, lsn=…, name=…; none: all of the log), base backup
# (none: the newest). The services are stopped and stay so: `deploy/compose.sh up -d --wait` after.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
compose() { sh "$here/compose.sh" "$@"; }
secrets=$(compose config --environment | sed -n 's/^LIANHU_SECRETS=//p')
compose stop intake mediation welfare notify postgres
compose run --rm -T --no-deps --entrypoint /bin/sh postgres -c \
    'exec sh /etc/lianhu/postgres/restore.sh "$PGDATA" /var/lib/lianhu-backup "$@"' \
    restore "${1:-}" "${2:-}"
compose up -d --no-deps postgres
postgres=$(compose ps --quiet --all postgres)
restarts() { docker inspect --format '{{.RestartCount}}' "$postgres"; }
before=$(restarts)
# as long as it takes: nobody is let in before the log is replayed
until compose exec -T postgres pg_isready -q -h 127.0.0.1 2>/dev/null; do
    if [ "$(restarts)" != "$before" ]; then
        compose stop postgres
        compose logs --no-log-prefix postgres | grep '\[[0-9]*\] @ FATAL' | tail -n 1 >&2
        echo 'PostgreSQL does not come up there. Nothing is lost: run it again, with another target.' >&2
        exit 1
    fi
    sleep 1
done
compose up -d --wait postgres kafka
for service in intake mediation welfare notify; do
    name=LIANHU_$(echo "$service" | tr '[:lower:]' '[:upper:]')
    url="postgresql://${service}_owner@postgres:5432/$service?sslmode=disable"
    echo "$service"
    compose run --rm -T --no-deps \
        -e "${name}_MIGRATION_URL=$url" -e "${name}_MIGRATION_PASSWORD_FILE=/run/owner" \
        -v "${secrets:-./secrets}/postgres/${service}_owner:/run/owner:ro" "$service" restored
done
