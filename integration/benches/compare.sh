#!/usr/bin/env bash
# Compares Paddock with Apache's ZooKeeper server (Java) and with the mock that defines the limit, one up at a time,
# all on loopback, all forcing the disk that holds target/. Prints Markdown. Needs java; the first run brings the jars
# with Maven. Measure on a machine that does nothing else.
#   compare.sh [speed] [sessions] [restart] [--rounds N] [--seconds S] [--sessions N] [--znodes N]
# Without a name: all three. Exit code 1 if a gate does not hold.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --quiet --release -p paddock
cargo build --quiet --release -p paddock-integration --examples
data="$PWD/target/compare"
mkdir -p "$data"
TMPDIR=$data exec target/release/examples/compare "$@"
