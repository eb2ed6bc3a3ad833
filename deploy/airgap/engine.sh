#!/bin/sh
# A container engine where none runs: Debian's own, as root.
#
#   engine.sh start FILE       install what is missing and start it; its pid goes to FILE
#   engine.sh stop FILE        end it; nothing where FILE is not there
#   engine.sh with COMMAND...  start it, run the command, end what was started
#
# Where an engine runs already, `start` changes nothing. Where none can be started it says in a
# sentence why not and ends with 3.
set -eu

cannot() {
    echo "$1" >&2
    exit 3
}

start() {
    if docker info >/dev/null 2>&1 && command -v debootstrap >/dev/null && command -v kcat >/dev/null; then
        return
    fi
    [ "$(id -u)" = 0 ] || cannot 'No container engine runs, and only root could start one.'
    command -v apt-get >/dev/null || cannot 'No container engine runs, and this is no Debian.'
    missing=
    command -v dockerd >/dev/null || missing="$missing docker.io"
    command -v iptables >/dev/null || missing="$missing iptables"
    command -v debootstrap >/dev/null || missing="$missing debootstrap"
    command -v kcat >/dev/null || missing="$missing kcat"
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086  several names
        { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install -y --no-install-recommends $missing; } >"$1.log" 2>&1 ||
            cannot "Debian's packages$missing cannot be installed; see $1.log."
    fi
    if docker info >/dev/null 2>&1; then
        return
    fi
    # the first driver is the one that it chooses; a machine may lack what that needs
    for driver in '' --storage-driver=fuse-overlayfs --storage-driver=vfs; do
        # shellcheck disable=SC2086  nothing or one word
        setsid dockerd $driver >"$1.log" 2>&1 &
        pid=$!
        echo "$pid" >"$1"
        for _ in $(seq 60); do
            docker info >/dev/null 2>&1 && return
            kill -0 "$pid" 2>/dev/null || break
            sleep 1
        done
        stop "$1"
    done
    cannot "dockerd does not run on this machine; its last words: $(tail -n 1 "$1.log")"
}

stop() {
    [ -e "$1" ] || return 0
    pid=$(cat "$1")
    rm -f "$1"
    if kill "$pid" 2>/dev/null; then
        for _ in $(seq 60); do
            kill -0 "$pid" 2>/dev/null || return 0
            sleep 1
        done
        kill -KILL "$pid"
    fi
}

verb=${1:?start, stop or with}
shift
case $verb in
    start | stop) "$verb" "${1:?the file for the pid}" ;;
    with)
        folder=$(mktemp -d)
        trap 'stop "$folder/pid"; rm -r "$folder"' EXIT
        trap 'exit 130' INT TERM
        start "$folder/pid"
        "$@"
        ;;
    *) echo 'start, stop or with' >&2; exit 2 ;;
esac
