#!/bin/sh
# One service to the release whose image is here: its migration, then one replica after the other.
# Argument: the service. A release that does not become ready ends it with the first replica; the
# others go on as they were. Let LIANHU_VERSION name the release before, and run it once more.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
service=${1:?intake, mediation, welfare or notify}
compose() { sh "$here/compose.sh" "$@"; }
compose run --rm -T --no-deps "$service-migrate"
# shellcheck disable=SC2046  one word for each
set -- $(compose ps --quiet --all "$service")
if [ $# = 0 ]; then
    exec sh "$here/compose.sh" up -d --wait --no-deps "$service"
fi
for replica in "$@"; do
    docker stop "$replica" >/dev/null
    docker rm "$replica" >/dev/null
    compose up -d --wait --no-deps --no-recreate --scale "$service=$#" "$service"
done
