#!/bin/sh
# run.sh --server-cmd "COMMAND {config}" [--rounds N] [SUITE…]: clients of three members whose leaders are killed;
# see run.py. SUITE: kazoo, java, go; all of them unless named.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/../kazoo/venv.sh")
exec "$python" "$here/run.py" "$@"
