#!/bin/sh
# Builds target/clients/kazoo/venv from requirements.txt (every package by version and hash), once; prints its python.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$(cd "$here/../../.." && pwd)/target/clients/kazoo/venv"
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    rm -rf "$venv"
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv"
    "$venv/bin/pip" -q --disable-pip-version-check install --require-hashes --no-deps --only-binary :all: \
        -r "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
echo "$venv/bin/python"
