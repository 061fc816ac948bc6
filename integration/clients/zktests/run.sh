#!/bin/sh
# run.sh --server-cmd "COMMAND {config}" [PART-OF-A-NAME]: ZooKeeper's own tests of a server alone, as Apache publishes
# them, each against a process of COMMAND on a zoo.cfg of its own (see ../kazoo/run.py for the command).
# Prints a line for each test and "N passed, N failed, N skipped"; exits with 0 if all did as tests.txt says.
set -eu
[ "${1:-}" = --server-cmd ] && [ $# -ge 2 ] || { sed -n '2,4p' "$0" >&2; exit 2; }
command=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
out="$(cd "$here/../../.." && pwd)/target/clients/zktests"
"$here/../java/compile.sh" zktests
rm -rf "$out/work"
mkdir -p "$out/work"
cd "$out/work"
case $command in
*/java/serve.sh*) apaches=true ;;
*) apaches=false ;;
esac
# Our classes come first: one of them stands in front of a class of the tests (JMXEnv). The super user's password is
# "test", as in ZooKeeper's own build.
exec java -DLOG_LEVEL="${LOG_LEVEL:-OFF}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dbuild.test.dir="$out/work" \
    -Dzookeeper.DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU= \
    -Dzookeeper.serverCnxnFactory=paddock.zktests.OtherServer -Dpaddock.server.cmd="$command" \
    -Dpaddock.server.apaches=$apaches \
    -cp "$out/build/classes:$here/../java/src/main/resources:$out/lib/*" paddock.zktests.Main "$here/tests.txt" "$@"
