#!/bin/sh
# fetch.sh [SUITE]: brings the jars of the suite's pom.xml (java unless named) into target/clients/SUITE/lib, once, and
# holds them to its jars.sha256. Offline from then on. Prints nothing unless it has something to do.
# Maven's own plugin is held to plugins.sha256 before its goal is run; no other is. (Maven loads it as it brings it.)
set -eu
clients=$(cd "$(dirname "$0")/.." && pwd)
suite="$clients/${1:-java}"
out="$(cd "$clients/../.." && pwd)/target/clients"
lib="$out/${1:-java}/lib"
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1
check() { (cd "$lib" 2>/dev/null && sha256sum --check --status "$suite/jars.sha256" 2>/dev/null); }

check && exit 0
echo "resolving the jars of $suite/pom.xml with Maven" >&2
mkdir -p "$lib"
repository=$(mktemp -d "$out/maven.XXXXXX") # nothing that came unchecked is in it
trap 'rm -rf "$repository"' EXIT
maven() { mvn -q -B -Dstyle.color=never -Dmaven.repo.local="$repository" "$@" >&2; }
maven -f "$clients/java/plugins/pom.xml" validate
(cd "$repository" && find . -name '*.jar' | LC_ALL=C sort | xargs sha256sum) >"$repository/plugins.sha256"
cmp -s "$repository/plugins.sha256" "$clients/java/plugins/plugins.sha256" || {
    echo "what Maven brought for its plugin differs from $clients/java/plugins/plugins.sha256, and was not run:" >&2
    diff "$clients/java/plugins/plugins.sha256" "$repository/plugins.sha256" >&2 || true
    exit 1
}
maven -f "$suite/pom.xml" "$plugin:copy-dependencies" -DincludeScope=runtime
check || {
    echo "$lib: the jars differ from $suite/jars.sha256; delete the folder and look at what changed" >&2
    exit 1
}
