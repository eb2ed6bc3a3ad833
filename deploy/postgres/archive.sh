#!/bin/sh
# The server's archive_command: a finished segment of the log into a folder, whole or not at all.
# Arguments: its path, its name, the folder.
set -eu
if [ -e "$3/$2" ]; then
    exec cmp -s "$1" "$3/$2" # handed over before, by a server that died then; never another's
fi
cp "$1" "$3/.$2.new"
sync "$3/.$2.new"
mv "$3/.$2.new" "$3/$2"
