"""Every suite against one kind of server; see all.sh."""

import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "kazoo"))

import servers  # noqa: E402  (found by the line above)

SHARED = ("java", "tutorials", "python", "c", "go", "rust")  # one server for all of them
OWN = ("kazoo", "zktests", "zkcli", "gozk", "failover", "kafka", "patroni")  # start and stop their servers by themselves
COUNT = re.compile(r"(\d+) (passed|failed|skipped)")
COUNTS = re.compile(r"\d+ passed, \d+ failed.*")
KEYS = ("4lw.commands.whitelist=*", "extendedTypesEnabled=true")
# Of a server for checks that wait for it; others' containers would go before they have looked at them.
REAPING = (*KEYS, "znode.container.checkIntervalMs=100")
# Of three members, for checks that change who they are.
RECONFIG = (*KEYS, "reconfigEnabled=true")


def run(suite, *args, which=()):
    """Runs one suite, or those of its checks that `which` selects, its output as it comes.

    Returns a line about it and whether all was well.
    """
    name = " ".join((suite, *which))
    print(f"== {name}", flush=True)
    counts, began = "no counts", time.monotonic()
    command = [os.path.join(HERE, suite, "run.sh"), *args, *which]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            if match := COUNTS.match(line):
                counts = " ".join(f"{word} {number}" for number, word in COUNT.findall(match[0]))
    seconds = round(time.monotonic() - began)
    return f"{name:8} {counts}; exit {process.returncode}, {seconds} s", process.returncode == 0


def run_on(keys, runs):
    """Runs suites, each given with what selects among its checks, against one server with these keys."""
    server = servers.Process(1, keys, [], None)
    try:
        server.run()
        return [run(suite, server.address, which=which) for suite, *which in runs]
    finally:
        server.destroy()


def run_on_three(keys, runs):
    """Runs suites, given as above, against one of three members with these keys."""
    members = servers.ZookeeperCluster(3, configuration_entries=keys)
    try:
        members.start()
        return [run(suite, members[0].address, which=which) for suite, *which in runs]
    finally:
        members.terminate()


def main(command, suites):
    servers.command = command
    results = []
    shared = [suite for suite in SHARED if suite in suites]
    if shared:
        results += run_on(KEYS, [(suite,) for suite in shared])
    if "java" in shared:
        results += run_on(REAPING, [("java", "--reaping")])
    if reconfigured := [(suite, "--reconfig") for suite in ("java", "python") if suite in shared]:
        results += run_on_three(RECONFIG, reconfigured)
    results += [run(suite, "--server-cmd", command) for suite in OWN if suite in suites]
    print("==")
    for line, _ in results:
        print(line)
    return 0 if all(well for _, well in results) else 1


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] != "--server-cmd":
        sys.exit("usage: all.sh --server-cmd 'COMMAND {config}' [SUITE…]")
    sys.exit(main(sys.argv[2], sys.argv[3:] or SHARED + OWN))
