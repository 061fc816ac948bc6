"""Every suite against one kind of server; see all.sh."""

import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "kazoo"))

import servers  # noqa: E402  (found by the line above)

SHARED = ("java", "python", "c", "go", "rust")  # one server for all of them
OWN = ("kazoo", "zktests", "zkcli", "gozk")  # start and stop their servers by themselves
COUNT = re.compile(r"(\d+) (passed|failed|skipped)")
COUNTS = re.compile(r"\d+ passed, \d+ failed.*")
KEYS = ("4lw.commands.whitelist=*", "extendedTypesEnabled=true")


def run(suite, *args):
    """Runs one suite, its output as it comes; returns a line about it and whether all was well."""
    print(f"== {suite}", flush=True)
    counts, began = "no counts", time.monotonic()
    command = [os.path.join(HERE, suite, "run.sh"), *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            if match := COUNTS.match(line):
                counts = " ".join(f"{word} {number}" for number, word in COUNT.findall(match[0]))
    seconds = round(time.monotonic() - began)
    return f"{suite:8} {counts}; exit {process.returncode}, {seconds} s", process.returncode == 0


def main(command, suites):
    servers.command = command
    results = []
    shared = [suite for suite in SHARED if suite in suites]
    if shared:
        server = servers.Process(1, KEYS, [], None)
        try:
            server.run()
            results += [run(suite, server.address) for suite in shared]
        finally:
            server.destroy()
    results += [run(suite, "--server-cmd", command) for suite in OWN if suite in suites]
    print("==")
    for line, _ in results:
        print(line)
    return 0 if all(well for _, well in results) else 1


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] != "--server-cmd":
        sys.exit("usage: all.sh --server-cmd 'COMMAND {config}' [SUITE…]")
    sys.exit(main(sys.argv[2], sys.argv[3:] or SHARED + OWN))
