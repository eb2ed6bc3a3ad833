#!/bin/sh
# Prometheus' and Alertmanager's own tools look at our files; it says what is missing.
set -eu
cd "$(dirname "$0")"

missing=
command -v promtool >/dev/null || missing="$missing prometheus (promtool)"
command -v amtool >/dev/null || missing="$missing prometheus-alertmanager (amtool)"
if [ -n "$missing" ]; then
    echo "Not here:$missing; these are names of Debian packages." >&2
    exit 1
fi
promtool check config prometheus/prometheus.yml
amtool check-config alertmanager/alertmanager.yml
promtool test rules prometheus/tests/*.yml
