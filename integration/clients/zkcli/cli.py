"""zkCli.sh, told a command at a time; what it prints that each server chooses for itself is masked."""

import os
import queue
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.dirname(HERE)
sys.path += [os.path.join(CLIENTS, "kazoo"), os.path.join(CLIENTS, "failover")]

from members import Broken  # noqa: E402  (found by the line above)

LIB = os.path.join(CLIENTS, "..", "..", "target", "clients", "zktests", "lib")  # commons-cli is there
APACHES = os.path.join(CLIENTS, "java", "serve.sh") + " {config}"
# Seconds that one command may take.
LIMIT = 120
# A command that there is not: the usage, and that it is not there, end the answer to the one before.
MARK = "end-of-answer"
USAGE = "ZooKeeper -server host:port"

TIME = re.compile(r"^(ctime|mtime) = .*")
ZXID = re.compile(r"\b(cZxid|mZxid|pZxid|ephemeralOwner) = 0x([0-9a-f]+)")
# Of a configuration: its last line, and what `config -c` and `reconfig -v` begin with.
VERSION = re.compile(r"\b(version=|^(?=[0-9a-f]+ SERVER))([0-9a-f]+)")
EVENT_ZXID = re.compile(r"(WatchedEvent .* zxid: )(-?\d+)")


class Cli:
    """One zkCli.sh; `names` are what is printed in place of addresses and the like."""

    def __init__(self, address, names):
        self.names = names
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
        return [self.masked(line) for line in self.raw(command)]

    def raw(self, command):
        """The same as they are."""
        self.process.stdin.write(f"{command}\n{MARK}\n")
        self.process.stdin.flush()
        answer, deadline = [], time.monotonic() + LIMIT
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Broken(f"{command}: zkCli.sh has not answered within {LIMIT} s") from None
            if line is None:
                return [*answer, "it has ended"]
            if MARK in line and not line[0].isdigit():  # what `history` prints begins with a number
                usage = max(i for i, line in enumerate(answer) if line.startswith(USAGE))
                answer = answer[:usage]
                return sorted(answer) if command == "whoami" else answer  # from a set
            if line.startswith("WatchedEvent"):
                self.events.append(self.masked(line))
            elif line and line != "WATCHER::":
                answer.append(line)

    def masked(self, line):
        """The line without what the server chose for itself."""
        line = TIME.sub(r"\1 = T", line)
        line = ZXID.sub(lambda match: f"{match[1]} = {self._number(int(match[2], 16))}", line)
        line = EVENT_ZXID.sub(lambda match: match[1] + self._number(int(match[2])), line)
        if line.startswith("[") and line.endswith("]"):  # a list in no order
            line = "[" + ", ".join(sorted(line[1:-1].split(", "))) + "]"
        for what, name in self.names.items():
            line = line.replace(what, name)
        return VERSION.sub(lambda match: match[1] + self._number(int(match[2], 16)), line)

    def _number(self, number):
        """Numbers that each server chooses, by the order in which they are first seen."""
        return self.numbers.setdefault(number, f"#{len(self.numbers)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Ends it, as the end of its input does."""
        self.process.stdin.close()
        try:
            self.process.wait(LIMIT)
        finally:
            self.process.kill()
