#!/bin/sh
# A base backup of the deployment's databases, into LIANHU_BACKUP, while everything runs.
# Argument: how many base backups are kept; older ones go, and the log before. None: all are kept.
set -eu
exec sh "$(dirname "$0")/compose.sh" exec -T postgres \
    sh /etc/lianhu/postgres/backup.sh /var/lib/lianhu-backup "${1:-}"
