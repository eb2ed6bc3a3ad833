#!/bin/sh
# Compose on the deployment: the engine's own, or the one that `make airgap` fetched. It is called
# in this folder, where it finds compose.yaml, and .env with what the installation says of itself.
set -eu
cd "$(dirname "$0")"
if docker compose version >/dev/null 2>&1; then
    exec docker compose "$@"
fi
exec ../.cache/compose/bin/docker-compose "$@"
