#!/bin/sh
# run.sh HOST:PORT [--reconfig]: the programs every introduction to kazoo has, against a server that is up; with --reconfig
# those that change who the members are instead, on one of three.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/../kazoo/venv.sh")
case ${2:-} in
"") program=tutorial ;;
--reconfig) program=reconfig ;;
*) sed -n '2,3p' "$0" >&2; exit 2 ;;
esac
exec "$python" "$here/$program.py" "$1"
