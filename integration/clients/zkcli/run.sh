#!/bin/sh
# run.sh --server-cmd "COMMAND {config}": Apache's zkCli.sh with the commands of commands.txt, on a
# server run by COMMAND and on Apache's own; what it prints must be the same (see ../kazoo/run.py for COMMAND).
# Prints a line for each command and "N passed, N failed"; exits with 0 if none differs.
set -eu
[ "${1:-}" = --server-cmd ] && [ $# -eq 2 ] || { sed -n '2,4p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
"$here/../java/fetch.sh"
"$here/../java/fetch.sh" zktests
python=$("$here/../kazoo/venv.sh")
exec "$python" "$here/compare.py" "$2"
