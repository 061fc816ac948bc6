#!/bin/sh
# compile.sh [SUITE]: the suite's own sources (java's unless named) into target/clients/SUITE/build/classes, against the
# jars that fetch.sh brings.
set -eu
clients=$(cd "$(dirname "$0")/.." && pwd)
suite=${1:-java}
out="$(cd "$clients/../.." && pwd)/target/clients/$suite"
"$clients/java/fetch.sh" "$suite"
rm -rf "$out/build"
mkdir -p "$out/build/classes"
find "$clients/$suite/src/main/java" -name '*.java' >"$out/build/sources"
javac --release 17 -encoding UTF-8 -d "$out/build/classes" -cp "$out/lib/*" "@$out/build/sources"
