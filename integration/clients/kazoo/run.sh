#!/bin/sh
# kazoo's own test suite against a server:
#   run.sh HOST:PORT               a server that is already up; tests that restart it are skipped
#   run.sh --server-cmd "CMD {config}"   starts, stops and restarts the server itself (see run.py)
# Further arguments go to pytest (`-k lock`, `-x`).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/venv.sh")
exec "$python" "$here/run.py" "$@"
