#!/bin/sh
# run.sh --server-cmd "COMMAND {config}" [--rounds N] [--rolling N] [--kills N] [--recipes N] [SUITE…]: clients of three
# members that are restarted, or whose leaders are killed; see run.py. SUITE: kazoo, java, go; all of them unless named.
#   --rounds N   each library by itself: locks, a latch, counters, watches, sessions; N leaders killed (3 unless said)
#   --rolling N  all write at once: N rolling restarts, how long each waits for an answer, and whether all is there once
#   --kills N    the same with N leaders killed
#   --recipes N  two processes each of kazoo's and Curator's recipes: N rolling restarts, and as many leaders killed
# Any of the last three leaves the first out, unless --rounds is said.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/../kazoo/venv.sh")
exec "$python" "$here/run.py" "$@"
