#!/bin/sh
# fetch.sh [SUITE]: brings the jars of the suite's pom.xml (java unless named) into target/clients/SUITE/lib, once, and
# holds them to its jars.sha256. Offline from then on. Prints nothing unless it has something to do.
set -eu
clients=$(cd "$(dirname "$0")/.." && pwd)
suite="$clients/${1:-java}"
lib="$(cd "$clients/../.." && pwd)/target/clients/${1:-java}/lib"
check() { (cd "$lib" 2>/dev/null && sha256sum --check --status "$suite/jars.sha256" 2>/dev/null); }

check && exit 0
echo "resolving the jars of $suite/pom.xml with Maven" >&2
mkdir -p "$lib"
mvn -q -B -Dstyle.color=never -f "$suite/pom.xml" dependency:copy-dependencies -DincludeScope=runtime >&2
check || {
    echo "$lib: the jars differ from $suite/jars.sha256; delete the folder and look at what changed" >&2
    exit 1
}
