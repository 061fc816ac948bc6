#!/bin/sh
# run.sh --server-cmd "COMMAND {config}" [PART-OF-A-NAME]: go-zookeeper's own test suite, each test against a process of
# COMMAND on a zoo.cfg of its own (see ../kazoo/run.py for the command), but for what expected.txt lists.
# Prints a line for each test and "N passed, N failed"; exits with 0 if none failed, or skipped itself.
set -eu
[ "${1:-}" = --server-cmd ] && [ $# -ge 2 ] || { sed -n '2,4p' "$0" >&2; exit 2; }
export SERVER_CMD="$2"
only=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
out="$(cd "$here/../../.." && pwd)/target/clients/go"
go=$("$here/../go/go.sh")
# Read-only, with hashes in go.sum: whatever is fetched is what was pinned.
export GOFLAGS="-mod=readonly -modcacherw" GOPATH="$out/path" GOTOOLCHAIN=local ZOOKEEPER_BIN_PATH="$here/bin"
export ZK_VERSION=3.9.5 # some tests skip themselves on less, or without it
mkdir -p "$out"
cd "$here/../go"
"$go" mod download
suite=$("$go" list -m -f '{{.Dir}}' github.com/go-zookeeper/zk)
rm -rf "$out/suite"
cp -r "$suite" "$out/suite"
cp "$here/harness.go" "$out/suite/server_help_test.go"
(cd "$out/suite" && "$go" test -c -o "$out/suite.test" .)
cd "$out"
./suite.test -test.list . | grep '^Test' >all.txt
sed -n 's/^\(Test[A-Za-z_]*\): .*/\1/p' "$here/expected.txt" >excused.txt
for name in $(grep -vxFf all.txt excused.txt || true); do
    echo "FAIL expected.txt: there is no test $name"
    echo "0 passed, 1 failed"
    exit 1
done
# One at a time: a package-wide timeout would end all the others.
grep -vxFf excused.txt all.txt | grep -F "$only" | while read -r name; do
    if ./suite.test -test.v -test.timeout 120s -test.run "^$name\$" >"$name.log" 2>&1 && ! grep -q '^--- SKIP' "$name.log"; then
        echo "ok   $name"
    else
        echo "FAIL $name:"
        grep -v '^[0-9/]* [0-9:]* ' "$name.log" | tail -n 40
    fi
done | tee results.txt
excused=$(wc -l <excused.txt)
awk -v excused="$excused" '/^ok   /{p++} /^FAIL Test/{f++}
    END {print p + 0 " passed, " f + 0 " failed, " excused " skipped"; exit !(p > 0 && f == 0)}' results.txt
