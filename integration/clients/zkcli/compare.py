"""zkCli.sh on two servers; see run.sh."""

import os
import queue
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(CLIENTS, "kazoo"))

import servers  # noqa: E402  (found by the line above)

LIB = os.path.join(CLIENTS, "..", "..", "target", "clients", "zktests", "lib")  # commons-cli is there
KEYS = ("4lw.commands.whitelist=*", "extendedTypesEnabled=true", "enforceQuota=true")
# Seconds that one command may take.
LIMIT = 120
# A command that there is not: the usage, and that it is not there, end the answer to the one before.
MARK = "end-of-answer"
USAGE = "ZooKeeper -server host:port"

TIME = re.compile(r"^(ctime|mtime) = .*")
ZXID = re.compile(r"\b(cZxid|mZxid|pZxid|ephemeralOwner) = 0x([0-9a-f]+)")
EVENT_ZXID = re.compile(r"(WatchedEvent .* zxid: )(-?\d+)")


class Cli:
    """One zkCli.sh on one server, told a command at a time."""

    def __init__(self, address):
        self.address = address
        self.numbers = {0: "0", -1: "-1"}
        self.events = []
        self.lines = queue.Queue()
        self.process = subprocess.Popen(
            ["java", "-DLOG_LEVEL=OFF", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
             "-cp", f"{LIB}/*:{CLIENTS}/java/src/main/resources",
             "org.apache.zookeeper.ZooKeeperMain", "-waitforconnection", "-server", address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.tell("version")  # past the greeting

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def tell(self, command):
        """The lines printed for it, without what watches print."""
        self.process.stdin.write(f"{command}\n{MARK}\n")
        self.process.stdin.flush()
        answer, deadline = [], time.monotonic() + LIMIT
        while True:
            line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            if line is None:
                return [*answer, "it has ended"]
            if MARK in line and not line[0].isdigit():  # what `history` prints begins with a number
                usage = max(i for i, line in enumerate(answer) if line.startswith(USAGE))
                answer = answer[:usage]
                return sorted(answer) if command == "whoami" else answer  # from a set
            if line.startswith("WatchedEvent"):
                self.events.append(self._masked(line))
            elif line and line != "WATCHER::":
                answer.append(self._masked(line))

    def _masked(self, line):
        line = TIME.sub(r"\1 = T", line)
        line = ZXID.sub(lambda match: f"{match[1]} = {self._number(int(match[2], 16))}", line)
        line = EVENT_ZXID.sub(lambda match: match[1] + self._number(int(match[2])), line)
        if line.startswith("[") and line.endswith("]"):  # a list in no order
            line = "[" + ", ".join(sorted(line[1:-1].split(", "))) + "]"
        return line.replace(self.address, "SERVER")

    def _number(self, number):
        """Numbers that each server chooses, by the order in which they are first seen."""
        return self.numbers.setdefault(number, f"#{len(self.numbers)}")

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(LIMIT)
        finally:
            self.process.kill()


def talk(command, commands):
    """What zkCli.sh answers to each of them on a server of `command`, and what its watches print."""
    servers.command = command
    server = servers.Process(1, KEYS, [], None)
    try:
        server.run()
        cli = Cli(server.address)
        answers = [cli.tell(line) for line in commands]
        cli.end()
        return answers, cli.events
    finally:
        server.destroy()


def main(command):
    with open(os.path.join(HERE, "commands.txt"), encoding="utf-8") as file:
        commands = [line.rstrip("\n") for line in file if not line.startswith("#")]
    ours, our_events = talk(command, commands)
    apaches, their_events = talk(os.path.join(CLIENTS, "java", "serve.sh") + " {config}", commands)
    rows = [*zip(commands, apaches, ours), ("what the watches print", their_events, our_events)]
    failed = 0
    for what, theirs, our in rows:
        if theirs == our:
            print(f"ok   {what}")
            continue
        failed += 1
        print(f"FAIL {what}\n  on Apache's server:")
        print(*(f"    {line}" for line in theirs), "  on ours:", *(f"    {line}" for line in our), sep="\n")
    if os.environ.get("SHOW"):
        for what, theirs, _ in rows:
            print(f"> {what}", *theirs, sep="\n")
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 0 if failed == 0 and our_events else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
