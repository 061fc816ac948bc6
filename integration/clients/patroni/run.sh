#!/bin/sh
# run.sh --server-cmd "COMMAND {config}" [--rounds N]: PostgreSQL under two Patroni nodes on three members; see run.py.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/../kazoo/venv.sh" patroni)
exec "$python" "$here/run.py" "$@"
