"""One zkCli.sh on three members, while each is restarted, and the leader killed.

It is told the same commands again and again, and answers each as ZooKeeper has it. Where the connection is lost it says so,
and nothing else; then nobody knows whether a write happened, so it is told to it again, and may find that it did. Its
session, its ephemeral and its watches outlive all that: each watch fires once.
"""

import re
import threading
import time
from collections import Counter

import cli
import servers
from members import LIMIT, Broken, Members, until

ROOT = "/restarts"
# As most commands say it, and as sync does.
LOST = re.compile(r"(KeeperErrorCode = ConnectionLoss( for \S+)?|Sync has failed\. rc=-4)$")
CUT = "WatchedEvent state:Disconnected "
FIRED = re.compile(r"WatchedEvent .*type:NodeDataChanged path:(\S+) ")
# Rounds of commands that end what was done to a member.
SETTLED = 3


class Wrong(Exception):
    """An answer that is not ZooKeeper's."""


class Talk:
    """What one zkCli.sh is told; it runs on a thread of its own until it is stopped."""

    def __init__(self, client):
        self.client = client
        self.rounds = self.answers = self.lost = 0
        self.watched = []
        self.wrong = None
        self.stopping = threading.Event()
        self.expect(f"create {ROOT}", [f"Created {ROOT}"])
        self.expect(f"create -e {ROOT}/alive here", [f"Created {ROOT}/alive"])
        self.owner = self.line(f"stat {ROOT}/alive", "ephemeralOwner")
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def told(self, command, done=None):
        """What it answers. `done`: what a write is answered that has happened by then, though its answer was lost."""
        was_lost, deadline = False, time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            answer = self.client.raw(command)
            self.answers += 1
            if not any(LOST.match(line) for line in answer):
                return "done" if was_lost and answer == done else answer
            was_lost = True
            self.lost += 1
        raise Wrong(f"{command}: nothing but lost connections for {LIMIT} s")

    def expect(self, command, wanted, done=None):
        answer = self.told(command, done)
        if answer not in (wanted, "done"):
            raise Wrong(f"{command}: {answer}, wanted {wanted}")

    def line(self, command, name):
        """The value of a line `name = value` of the answer."""
        answer = self.told(command)
        found = [line.split(" = ")[1] for line in answer if line.startswith(f"{name} = ")]
        if len(found) != 1:
            raise Wrong(f"{command}: {answer}, wanted one {name}")
        return found[0]

    def has(self, command, name, wanted):
        found = self.line(command, name)
        if found != wanted:
            raise Wrong(f"{command}: {name} is {found}, wanted {wanted}")

    def round(self):
        """The script, about a znode of its own."""
        path = f"{ROOT}/{self.rounds}"
        self.expect(f"create {path} first", [f"Created {path}"], [f"Node already exists: {path}"])
        self.expect(f"create {path} again", [f"Node already exists: {path}"])
        self.expect(f"get -w {path}", ["first"])
        self.watched.append(path)
        self.expect(f"set -v 0 {path} second", [], [f"version No is not valid : {path}"])
        self.expect(f"get {path}", ["second"])
        self.has(f"stat {path}", "dataVersion", "1")
        self.expect(f"set -v 0 {path} late", [f"version No is not valid : {path}"])
        self.expect(f"create {path}/child", [f"Created {path}/child"], [f"Node already exists: {path}/child"])
        self.expect(f"ls {path}", ["[child]"])
        self.expect(f"delete {path}", [f"Node not empty: {path}"])
        self.expect(f"delete {path}/child", [], [f"Node does not exist: {path}/child"])
        self.has(f"stat {path}", "cversion", "2")
        self.expect(f"sync {path}", ["Sync is OK"])
        self.expect(f"get {ROOT}/alive", ["here"])
        self.has(f"stat {ROOT}/alive", "ephemeralOwner", self.owner)
        self.has(f"stat {ROOT}", "numChildren", str(self.rounds + 2))

    def _run(self):
        try:
            while not self.stopping.is_set():
                self.round()
                self.rounds += 1
        except Exception as why:  # whatever it is, it is told where the rounds are waited for
            self.wrong = why

    def goes_on(self):
        """Waits until it has done some rounds more."""
        wanted = self.rounds + SETTLED
        until("rounds of zkCli.sh", lambda: self.wrong or self.rounds >= wanted)
        self.check()

    def check(self):
        if self.wrong:
            raise Broken(f"zkCli.sh: {self.wrong!r}")

    def faults(self):
        """Watches that did not fire once, as far as it was told that they are set."""
        until("the last event", lambda: len(self.fired()) >= len(self.watched))
        times = Counter(self.fired())
        return [f"{path}: {times[path]} times" for path in self.watched if times[path] != 1]

    def cuts(self):
        """How often it has lost its connection."""
        return sum(event.startswith(CUT) for event in self.client.events)

    def fired(self):
        return [match[1] for event in self.client.events if (match := FIRED.match(event))]


def run(command, kills, counts):
    """A rolling restart of members of `command`, and some leaders killed."""
    servers.command = command
    failed = counts.failed
    with Members() as members, cli.Cli(members.hosts, {}) as client:
        with Talk(client) as talk:
            talk.goes_on()
            for _ in members.roll():
                talk.goes_on()
            counts.holds("zkCli.sh: its own member was among those restarted", [] if talk.cuts() else ["it was never cut"])
            for _ in range(kills):
                leader = members.leader()
                leader.kill()
                talk.goes_on()
                members.back(leader)
        talk.check()
        counts.claim("ok   zkCli.sh: answers as ZooKeeper's while members are restarted and leaders killed")
        counts.holds("zkCli.sh: each watch fired once", talk.faults())
        members.judge(counts, "zkCli.sh", failed)
        print(f"     zkCli.sh: {talk.rounds} rounds, {talk.answers} answers; cut {talk.cuts()} times, {talk.lost} answers lost")
