#!/usr/bin/env bash
# Compares Paddock with Apache's ZooKeeper server (Java) and with the mock that defines the limit, one up at a time,
# all on loopback, all forcing the disk that holds target/. Prints Markdown. Needs java; the first run brings the jars
# with Maven. Measure on a machine that does nothing else.
#   compare.sh [NAME...] [--rounds N] [--seconds S] [--sessions N] [--znodes N] [--kills N] [--busy-seconds S]
#   speed     one server: requests a second and latencies; --rounds of --seconds a load, as for ensemble
#   sessions  what --sessions idle ones cost, how soon their watches on one znode are delivered, and what of a core an
#             idle server takes
#   restart   kill -9 with --znodes znodes, --rounds times: how soon it serves again; memory of a znode
#   snapshot  Paddock alone: the longest hold of the tree by a snapshot of a million znodes
#   ensemble  three servers, clients at all of them: requests a second, latencies, CPU of each server for a write
#   members   Paddock alone, no gate: CPU of the leader for a write with 3, 5, 7 voters and with observers; three of which
#             one follower is slow, and the same without
#   failover  three servers, the leader killed --kills times, then frozen a few times: how soon a write is done again;
#             and new epochs while every core is kept busy for --busy-seconds
#   rejoin    three servers with --znodes znodes, of which one comes back with an empty disk under 2,000 writes/s: how soon
#             it serves, and the writes' p99; --rounds times
# Without a name: all eight. Exit code 1 if a gate does not hold; an aim beside it that is not reached fails nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --quiet --release -p paddock
cargo build --quiet --release -p paddock-integration --examples
cargo build --quiet --release -p paddock-actors --example walk
data="$PWD/target/compare"
mkdir -p "$data"
TMPDIR=$data exec target/release/examples/compare "$@"
