#!/bin/sh
# run.sh HOST:PORT: the programs every introduction to kazoo has, against a server that is up.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/../kazoo/venv.sh")
exec "$python" "$here/tutorial.py" "$@"
