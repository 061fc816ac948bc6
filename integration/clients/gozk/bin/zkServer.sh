#!/bin/sh
# What go-zookeeper's test suite takes for ZooKeeper's zkServer.sh: start-foreground CONFIG runs $SERVER_CMD instead.
# Java takes its options from SERVER_JVMFLAGS; as keys of zoo.cfg they lose their prefix.
set -eu
[ "$1" = start-foreground ]
for flag in ${SERVER_JVMFLAGS:-}; do
    case $flag in
    # For data written by ZooKeeper 3.5.3; here there is none.
    -Dzookeeper.emulate353TTLNodes=*) ;;
    -Dzookeeper.*) key=${flag#-Dzookeeper.}; grep -q "^${key%%=*}=" "$2" || echo "$key" >>"$2" ;;
    esac
done
command=$(printf '%s' "$SERVER_CMD" | sed "s|{config}|$2|")
unset SERVER_JVMFLAGS
exec $command
