#!/bin/sh
# A base backup of the deployment's databases, into LIANHU_BACKUP, while everything runs.
set -eu
exec sh "$(dirname "$0")/compose.sh" exec -T postgres sh /etc/lianhu/postgres/backup.sh
