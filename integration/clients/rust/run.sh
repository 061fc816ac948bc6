#!/bin/sh
# run.sh IP:PORT [PART-OF-A-NAME]: the crate zookeeper-client against a server that is up.
# Prints a line for each check and "N passed, N failed"; exits with 0 if none failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out="$(cd "$here/../../.." && pwd)/target/clients/rust"
cargo build --quiet --locked --manifest-path "$here/Cargo.toml" --target-dir "$out"
exec "$out/debug/zookeeper-client-checks" "$@"
