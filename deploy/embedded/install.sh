#!/bin/sh
# Everything the project runs on, into .venv and .cache: Python packages by pinned digests, our own
# packages editable, Kafka's jars by pinned digests. `make install` calls it when something changed.
set -eu
cd "$(dirname "$0")/../.."

python="${PYTHON:-python3}"
venv=.venv

fail() {
    echo "$1" >&2
    exit 1
}

begun=$(date +%s)
tell() {
    echo "$(($(date +%s) - begun)) s  $1"
}

command -v "$python" >/dev/null 2>&1 ||
    fail "Python ($python) is not on this machine. Debian and Ubuntu have it as the package python3."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or later is needed; $python is $("$python" -c 'import platform; print(platform.python_version())'). Name another one: make install PYTHON=python3.12"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "Python's venv module is missing. Debian and Ubuntu have it as the package python3-venv."

# A virtual environment that was moved, or whose Python is gone, is made anew.
if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    [ "$("$venv/bin/python" -c 'import sys; print(sys.prefix)')" != "$(pwd -P)/$venv" ]; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    tell "$venv is made"
fi

"$venv/bin/pip" install --quiet --require-hashes --only-binary :all: -r requirements-bootstrap.txt

# uv does not read pip's configuration: where pip was told of a mirror, tell uv.
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    mirror=$("$venv/bin/pip" config get global.index-url 2>/dev/null || echo "${PIP_INDEX_URL:-}")
    if [ -n "$mirror" ]; then
        export UV_DEFAULT_INDEX="$mirror"
    fi
fi

export VIRTUAL_ENV="$PWD/$venv"
"$venv/bin/uv" pip install --quiet --require-hashes -r requirements.txt
tell "packages are installed"

# Ours: no dependencies (they are all above), no build environment of their own (hatchling is).
set --
for member in libs/* services/*; do
    if [ -f "$member/pyproject.toml" ]; then
        set -- "$@" --editable "$member"
    fi
done
"$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation "$@"
tell "our own packages are installed"

"$venv/bin/python" -m deploy.embedded fetch
tell "Kafka's jars are here"
