#!/bin/sh
# Compose on the deployment: the engine's own, or the one that `make airgap` fetched.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if docker compose version >/dev/null 2>&1; then
    exec docker compose -f "$here/compose.yaml" "$@"
fi
exec "$here/../.cache/compose/bin/docker-compose" -f "$here/compose.yaml" "$@"
