#!/bin/sh
# run.sh HOST:PORT: the programs of ZooKeeper's own tutorials, not a letter changed, against a server that is up.
# Prints a line for each check and "N passed, N failed"; exits with 0 if none failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out="$(cd "$here/../../.." && pwd)/target/clients"
python=$("$here/../kazoo/venv.sh")
mkdir -p "$out/tutorials"
"$python" "$here/fetch.py" "$out/tutorials"
"$here/../java/fetch.sh"
rm -rf "$out/tutorials/build"
mkdir -p "$out/tutorials/build"
javac -nowarn -XDsuppressNotes -encoding UTF-8 -d "$out/tutorials/build" -cp "$out/java/lib/*" "$out"/tutorials/src/*.java
exec "$python" "$here/run.py" "$1" "$out/tutorials/build:$here/../java/src/main/resources:$out/java/lib/*"
