#!/bin/sh
# run.sh HOST:PORT [--reaping|--reconfig] [PART-OF-A-NAME]: Apache's Java client and Curator's recipes against a server that is up.
# Prints a line for each check and "N passed, N failed"; exits with 0 if none failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out="$(cd "$here/../../.." && pwd)/target/clients/java"
"$here/compile.sh"
# Curator reports every connection we cut: LOG_LEVEL=WARN shows it.
exec java -DLOG_LEVEL="${LOG_LEVEL:-OFF}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$out/build/classes:$here/src/main/resources:$out/lib/*" paddock.clients.Main "$@"
