#!/bin/sh
# run.sh --server-cmd "COMMAND {config}" [--rounds N]: two Kafka brokers in ZooKeeper mode on three members; see run.py.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$here/../java/compile.sh" kafka
python=$("$here/../kazoo/venv.sh")
exec "$python" "$here/run.py" "$@"
