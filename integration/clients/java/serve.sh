#!/bin/sh
# serve.sh CONFIG: Apache's server on one zoo.cfg, in the foreground, as this very process (its pid is the server's).
# SERVER_JVMFLAGS adds JVM options.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$here/fetch.sh"
lib="$(cd "$here/../../.." && pwd)/target/clients/java/lib"
# The first compiler and the serial collector: tests start many short-lived servers on few cores.
exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx512m -Dfile.encoding=UTF-8 -Djava.awt.headless=true \
    ${SERVER_JVMFLAGS:-} -cp "$lib/*:$here/src/main/resources" \
    org.apache.zookeeper.server.quorum.QuorumPeerMain "$1"
