#!/bin/sh
# venv.sh [SUITE]: builds target/clients/SUITE/venv (kazoo's unless named) from the suite's requirements.txt, every package
# by version and hash, once; prints its python.
set -eu
clients=$(cd "$(dirname "$0")/.." && pwd)
suite=${1:-kazoo}
wanted="$clients/$suite/requirements.txt"
venv="$(cd "$clients/../.." && pwd)/target/clients/$suite/venv"
if ! cmp -s "$wanted" "$venv/requirements.txt"; then
    rm -rf "$venv"
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv"
    "$venv/bin/pip" -q --disable-pip-version-check install --require-hashes --no-deps --only-binary :all: \
        -r "$wanted" >&2
    cp "$wanted" "$venv/requirements.txt"
fi
echo "$venv/bin/python"
