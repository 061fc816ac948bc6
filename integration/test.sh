#!/usr/bin/env bash
# Runs the tests, all of them or the stages named:
#   lint     formatting, clippy with warnings denied, tidy
#   build    the release binary and every test binary
#   unit     unit, table and property tests of all crates
#   sim      seeded simulations                        SEEDS=n (default 2000)
#   crash    real processes: kills, power cuts, bad disks, hostile clients   CRASH_ROUNDS=n (default 24)
#   chaos    ensembles of real processes: members killed, frozen, wiped, strangers   CRASH_ROUNDS=n (default 5);
#            cut off, too, under clients whose history is judged   CHAOS_SECONDS=n (default 40), CHAOS_SEED=n
#   clients  ZooKeeper programs that others wrote; restarts under them   RESTARTS=n (default 3)
#   quick    lint, unit and 200 seeds: before every commit
# Installs what it needs; whatever it downloads is pinned and kept under target/.
# Prints seconds per stage and ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never RUST_BACKTRACE=1
readonly LIMIT_SECONDS=3600
logs=target/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0 why=()
began=$SECONDS

# What is tested is what the lock file names.
cargo() {
  if [ "$1" = fmt ]; then command cargo "$@"; else command cargo "$1" --locked "${@:2}"; fi
}

say() { printf '%s\n' "$*"; }

# Runs a command into a log of its own; its test counts are added up. A command that fails without
# counting a failure counts as one.
step() {
  local name=$1 log="$logs/$1.log" ok=0 bad=0 status=0
  shift
  "$@" >"$log" 2>&1 || status=$?
  # cargo test: "test result: ok. 3 passed; 0 failed; …"; everything else: "3 passed, 0 failed".
  read -r ok bad < <(awk '
    match($0, /[0-9]+ passed[;,]/) { p += substr($0, RSTART) + 0; t = substr($0, RSTART); sub(/^[0-9]+ passed[;,] /, "", t); f += t + 0 }
    END { print p + 0, f + 0 }' "$log")
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
  if [ "$ok" -eq 0 ] && [ "$bad" -eq 0 ]; then ok=1; fi # a check without a count
  # A test that says so has not tested what it is for: "skipped: …".
  local idle
  idle=$(grep -cE '^\.*skipped: ' "$log" || true)
  ok=$((ok - idle)) skipped=$((skipped + idle))
  passed=$((passed + ok)) failed=$((failed + bad))
  if [ "$status" -ne 0 ]; then
    say "FAILED: $name (exit $status), the end of $log:"
    tail -n 80 "$log"
    why+=("$(reason "$name" "$log" | cut -c 1-400)")
  else
    sed -nE 's/^\.*((met|seeds|found|rounds|cuts|skipped): )/    \1/p' "$log"
    say "  $name: $ok passed"
  fi
  return "$status"
}

# What a failed step said, in few lines: where it panicked and with what, else its end.
reason() {
  say "FAILED: $1, see $2:"
  awk '/panicked at/ { shown = 12 } /^stack backtrace/ { shown = 0 } shown-- > 0 { print; n++ } n == 60 { exit } END { exit n == 0 }' "$2" ||
    tail -n 12 "$2"
}

# Debian packages by the command or file that shows that they are there.
need() {
  local missing=()
  while [ $# -gt 0 ]; do
    command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing+=("$2")
    shift 2
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${missing[*]}"
  { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}"; } >"$logs/apt.log" 2>&1 ||
    { say "could not install ${missing[*]}:"; tail -n 5 "$logs/apt.log"; }
}

# What has Debian's PostgreSQL, unless it is there, make and start no cluster of its own: we want its programs alone. As
# createcluster.conf has it (man pg_createcluster), for as long as the command takes.
without_cluster() {
  local conf=/etc/postgresql-common/createcluster.d/paddock.conf status=0
  [ ! -e /usr/lib/postgresql ] || { "$@"; return; }
  mkdir -p "${conf%/*}" && echo 'create_main_cluster = false' >"$conf" || return
  "$@" || status=$?
  rm -f "$conf"
  rmdir --ignore-fail-on-non-empty "${conf%/*}"
  return "$status"
}

lint() {
  step fmt cargo fmt --all -- --check
  step clippy cargo clippy --quiet --workspace --all-targets -- -D warnings
  step tidy cargo test --quiet -p paddock-integration --test tidy
}

build() {
  step build-release cargo build --quiet --release
  step build-tests cargo test --quiet --workspace --no-run
}

unit() {
  need ip iproute2 nft nftables mkfs.ext4 e2fsprogs \
    "/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketimeMT.so.1" libfaketime
  step unit cargo test --quiet --workspace --lib --bins
  step config cargo test --quiet -p paddock-config --test it
}

# On the code that is shipped: the release profile once showed what the other did not.
sim() {
  SEEDS=${SEEDS:-2000} step simulation cargo test --quiet ${PROFILE---release} -p paddock-integration --test simulation -- --nocapture
}

crash() {
  need strace strace
  step release cargo build --quiet --release || return
  step crash cargo test --quiet -p paddock-integration --test crash -- --nocapture --test-threads=1
  step metrics cargo test --quiet -p paddock-integration --test metrics
  step hostile cargo test --quiet -p paddock-integration --test hostile -- --nocapture --test-threads=2
}

# One after the other: elections on a machine that is busy with another ensemble take their time.
chaos() {
  need ip iproute2 nft nftables mkfs.ext4 e2fsprogs \
    "/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketimeMT.so.1" libfaketime
  step release cargo build --quiet --release || return
  step chaos cargo test --quiet -p paddock-integration --test ensemble -- --nocapture --test-threads=1
}

# kazoo's own suite, once with clients on the core's arbiter and once on three of their own.
kazoo() {
  step "kazoo-$1-arbiters" integration/clients/kazoo/run.sh \
    --server-cmd "$PWD/target/release/paddock serve {config} --set client_arbiters=$1" \
    --without sasl --without close-on-large
}

clients() {
  without_cluster need mvn maven javac default-jdk-headless python3 python3-venv gcc gcc /usr/lib/postgresql postgresql
  [ -x /usr/local/go/bin/go ] || need go golang-go
  step release cargo build --quiet --release || return
  step golden cargo test --quiet -p paddock-integration --test golden_bytes
  SEEDS=${DIFFERENTIAL_SEEDS:-200} step differential \
    cargo test --quiet -p paddock-integration --test differential -- --nocapture
  step java-server cargo test --quiet -p paddock-integration --test java_server
  kazoo 0
  kazoo 3
  ZOOKEEPER_CLUSTER_SIZE=3 step kazoo-on-three integration/clients/kazoo/run.sh \
    --server-cmd "$PWD/target/release/paddock serve {config}" --without any-address --without any-id \
    -k "test_read_only or TestReconfig"
  for suite in zkcli zktests gozk kafka patroni; do
    step "$suite" "integration/clients/$suite/run.sh" --server-cmd "$PWD/target/release/paddock serve {config}"
  done
  step failover integration/clients/failover/run.sh --rounds 10 --server-cmd "$PWD/target/release/paddock serve {config}"
  step restarts integration/clients/failover/run.sh --rolling "${RESTARTS:-3}" --kills "${RESTARTS:-3}" \
    --server-cmd "$PWD/target/release/paddock serve {config}"
  step recipes integration/clients/failover/run.sh --recipes 1 --server-cmd "$PWD/target/release/paddock serve {config}"
  step java-python-c-go-rust integration/clients/all.sh \
    --server-cmd "$PWD/target/release/paddock serve {config}" java tutorials python c go rust
}

stage() {
  local at=$SECONDS
  say "== $1"
  "$1"
  say "== $1: $((SECONDS - at)) s"
}

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(lint build unit sim crash chaos clients)
for name in "${stages[@]}"; do
  case $name in
    lint | build | unit | sim | crash | chaos | clients) stage "$name" ;;
    quick) stage lint; stage unit; PROFILE='' SEEDS=${SEEDS:-200} stage sim ;;
    *) say "no such stage: $name"; sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
done

took=$((SECONDS - began))
say "took $took s"
if [ "$took" -gt "$LIMIT_SECONDS" ]; then
  say "FAILED: more than $LIMIT_SECONDS s"
  failed=$((failed + 1))
fi
# Once more, as the end of a long log is what is read.
for text in "${why[@]}"; do say "$text"; done
[ "$skipped" -eq 0 ] || say "$skipped skipped: this machine has not what they need, see above"
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
