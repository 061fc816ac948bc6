#!/bin/sh
# Prints where Go is: 1.18 (generics) or later.
set -eu
for go in "$(command -v go || true)" /usr/local/go/bin/go; do
    [ -x "$go" ] || continue
    case $("$go" env GOVERSION) in
    go1.[0-9] | go1.[0-9].* | go1.1[0-7] | go1.1[0-7].*) ;;
    go1.*) echo "$go"; exit 0 ;;
    esac
done
echo "no Go of 1.18 or later: install Debian's golang-go" >&2
exit 1
