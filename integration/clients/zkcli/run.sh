#!/bin/sh
# run.sh --server-cmd "COMMAND {config}" [PART…]: Apache's zkCli.sh on servers run by COMMAND (see ../kazoo/run.py for it).
#   alone     the commands of commands.txt on one server, and on Apache's own: what it prints must be the same
#   reconfig  those of reconfig.txt, which change who the members are, on three, and on three of Apache's: the same
#   restarts  one zkCli.sh on three members that are restarted one by one, and whose leaders are killed; see restarts.py
# All of them unless named. Prints a line for each command and "N passed, N failed"; exits with 0 if none failed.
set -eu
[ "${1:-}" = --server-cmd ] && [ $# -ge 2 ] || { sed -n '2,6p' "$0" >&2; exit 2; }
command=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
"$here/../java/fetch.sh"
"$here/../java/fetch.sh" zktests
python=$("$here/../kazoo/venv.sh")
exec "$python" "$here/run.py" "$command" "$@"
