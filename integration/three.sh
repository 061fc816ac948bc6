#!/usr/bin/env bash
# Three members of one ensemble on this machine, on loopback, their data and logs under ./data/three; ends all at Ctrl-C.
# Prints the connect string once all serve. Clients come to ports 2181, 2182 and 2183, or to the next ten if one of
# theirs or of the members' own (2888 to 2890, 3888 to 3890) is taken; the data goes with the folder, not with the ports.
#   PORTS='…'         other ports: three for clients, three for data, three for votes
#   DATA=data/three   the folder
#   PADDOCK=…         the binary; without it, it is built here
set -uo pipefail
data=${DATA:-data/three}
root=$(cd "$(dirname "$0")/.." && pwd)
readonly SERVE_SECONDS=60 # for all to serve; an election takes a fraction of one

die() { printf '%s\n' "$*" >&2; exit 1; }

if [ -z "${PADDOCK:-}" ]; then
  (cd "$root" && cargo build --quiet --release) || exit
  PADDOCK=$root/target/release/paddock
fi
mkdir -p "$data" && data=$(cd "$data" && pwd) || exit
exec 9>"$data/lock"
flock -n 9 || die "$data: its three members run already"

is_taken() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The defaults, or the first tens after them of which nobody listens at one.
free_ports() {
  local tens ports port
  for tens in {0..90..10}; do
    ports=()
    for port in 2181 2182 2183 2888 2889 2890 3888 3889 3890; do
      ! is_taken $((port + tens)) || continue 2
      ports+=($((port + tens)))
    done
    echo "${ports[*]}"
    return
  done
  die "no free ports near 2181, 2888 and 3888: set PORTS"
}

client() { echo "127.0.0.1:${ports[$1 - 1]}"; }

write_files() {
  local member id
  for member in 1 2 3; do
    mkdir -p "$data/$member/data"
    echo "$member" >"$data/$member/data/myid"
    {
      printf 'tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=%s\n' "$data/$member/data"
      for id in 1 2 3; do
        echo "server.$id=127.0.0.1:${ports[$id + 2]}:${ports[$id + 5]};$(client $id)"
      done
    } >"$data/$member/zoo.cfg"
  done
}

role() {
  exec 3<>"/dev/tcp/127.0.0.1/${ports[$1 - 1]}" || return
  printf srvr >&3
  sed -n 's/^Mode: //p' <&3
  exec 3>&-
} 2>/dev/null

pids=()

stop() {
  trap '' INT TERM
  local running
  mapfile -t running < <(jobs -pr)
  [ ${#running[@]} -eq 0 ] || kill -TERM "${running[@]}" 2>/dev/null
  wait
  exit "$1"
}

# Until all serve; a member that ends before is the end of it.
await() {
  local deadline=$((SECONDS + SERVE_SECONDS)) member
  for member in 1 2 3; do
    until "$PADDOCK" health "$(client $member)" >/dev/null 2>&1; do
      if ! kill -0 "${pids[$member - 1]}" 2>/dev/null || [ "$SECONDS" -gt "$deadline" ]; then
        echo "member $member does not serve; the end of $data/$member/log:" >&2
        tail -n 20 "$data/$member/log" >&2
        stop 1
      fi
      sleep 0.05
    done
  done
}

read -ra ports <<<"${PORTS:-$(free_ports)}"
[ ${#ports[@]} -eq 9 ] || die "nine ports are needed, not '${ports[*]}'"
write_files
trap 'echo; stop 0' INT TERM
for member in 1 2 3; do
  "$PADDOCK" serve "$data/$member/zoo.cfg" >>"$data/$member/log" 2>&1 9>&- &
  pids+=($!)
done
await
for member in 1 2 3; do
  echo "member $member: $(role $member), process ${pids[$member - 1]}, clients at $(client $member), $data/$member/log"
done
echo "connect string: $(client 1),$(client 2),$(client 3)"
echo "Ctrl-C ends all; to see another lead, kill -9 the one that does"

# Whoever ends is told; the others go on. (`wait -n` says nothing of two that end at once.)
left=3
while [ "$left" -gt 0 ]; do
  sleep 0.2
  for member in 1 2 3; do
    pid=${pids[$member - 1]}
    if [ "$pid" != gone ] && ! kill -0 "$pid" 2>/dev/null; then
      wait "$pid" 2>/dev/null
      echo "member $member ended with $?; $PADDOCK serve $data/$member/zoo.cfg brings it back"
      pids[member - 1]=gone
      left=$((left - 1))
    fi
  done
done
die "all have ended"
