#!/bin/sh
# run.sh HOST:PORT [PART-OF-A-NAME]: go-zookeeper against a server that is up.
# Prints a line for each check and "N passed, N failed"; exits with 0 if none failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out="$(cd "$here/../../.." && pwd)/target/clients/go"
# Read-only, with hashes in go.sum: whatever is fetched is what was pinned.
export GOFLAGS="-mod=readonly -modcacherw" GOPATH="$out/path" GOTOOLCHAIN=local
(cd "$here" && "$("$here/go.sh")" build -o "$out/checks" .)
exec "$out/checks" "$@"
