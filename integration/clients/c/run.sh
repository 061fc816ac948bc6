#!/bin/sh
# run.sh HOST:PORT: ZooKeeper's C client, as Debian 12 packages it, against a server that is up.
# The packages (packages.sha256) are unpacked into target/clients/c, once; nothing is installed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out="$(cd "$here/../../.." && pwd)/target/clients/c"
mkdir -p "$out"
cd "$out"
if ! sha256sum --check --status "$here/packages.sha256" 2>/dev/null; then
    # As root apt warns that its own user cannot write here; it then downloads all the same.
    apt-get -qq -o APT::Sandbox::User=root download libzookeeper-mt2=3.8.0-11+deb12u2 libzookeeper-mt-dev=3.8.0-11+deb12u2 >&2
    sha256sum --check --quiet "$here/packages.sha256" >&2
    rm -rf root
fi
if [ ! -d root ]; then
    for package in libzookeeper-mt*.deb; do dpkg -x "$package" root; done
fi
lib="$out/root/usr/lib/x86_64-linux-gnu"
gcc -std=c11 -Wall -Wextra -Werror -DTHREADED -I root/usr/include/zookeeper -o checks "$here/checks.c" "$here/relay.c" \
    -L "$lib" -Wl,-rpath,"$lib" -lzookeeper_mt -lpthread
exec ./checks "$@"
