#!/bin/sh
# all.sh --server-cmd "COMMAND {config}" [SUITE…]: every suite (or those named) against servers run by COMMAND.
# Ends with a line of counts for each; exits with 0 if all did as expected.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/kazoo/venv.sh")
exec "$python" "$here/all.py" "$@"
