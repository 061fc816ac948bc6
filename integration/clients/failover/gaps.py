"""How long clients that write all the time wait for an answer, while members are restarted or leaders killed.

Three clients of each library are connected to three members, each with an ephemeral. Each creates a znode for each
number, one after the other, at most one each 5 ms, and writes down each answer with its time in a file of its own.
Where its connection is lost it looks up whether the write happened before it sends it again. A round of
  rolling  sends SIGTERM to each member in turn, starts it again, and goes on once all three are in sync and every client
           writes
  kills    kills the leader with SIGKILL, and starts it again once every client writes by the two others
Of each event, and of the quiet time behind it, each client's longest time between two answers counts. Clients that were
connected to the member that stopped stand apart: they wait by the rules of their library (ZooKeeper's Java client for up to
a second, go-zookeeper for a second once it has tried every member). So do those of another member that were cut all the same.
At the end every answered write must be there once, on each member, in order; each ephemeral must be its session's.
"""

import bisect
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time

import kazoo_worker
import kazoo_writer
from members import LIMIT, Broken, Members, Program

CLIENTS = 3  # of each library
# Answers of every client that end an event, and the quiet time behind it: half a second of writes each.
SETTLED, QUIET = 100, 100
LONG = 200  # ms


class Writer:
    """One client: what it has been answered so far, as its file says."""

    def __init__(self, library, name, session, folder):
        self.library, self.name, self.session = library, name, int(session, 16)
        self.file = open(os.path.join(folder, name))
        self.part = ""
        self.nodes, self.times = [], []
        self.cuts = []  # when it lost its connection, ms

    def read(self):
        """How many answers there are by now."""
        *lines, self.part = (self.part + self.file.read()).split("\n")
        for line in lines:
            number, millis, node = line.split()
            if number == "lost":
                self.cuts.append(float(millis))
                continue
            if int(number) != len(self.nodes):
                raise Broken(f"{self.name} wrote down {number} behind {len(self.nodes) - 1}")
            self.nodes.append(node)
            self.times.append(float(millis))
        return len(self.nodes)


class Event:
    """What happened from `begin` to `end`, ms; `where` has the member of each session at the beginning."""

    def __init__(self, what, begin, end, stopped=None, where=None):
        self.what, self.begin, self.end, self.stopped, self.where = what, begin, end, stopped, where

    def row(self, writer):
        if not self.stopped:
            return self.what
        if self.where.get(writer.session, self.stopped) == self.stopped:
            return self.what + ": at it"
        cut = any(self.begin < at <= self.end for at in writer.cuts)
        return self.what + (": elsewhere, cut" if cut else ": elsewhere")

    def gap(self, times):
        """The longest time between two answers of which the later one is of this event."""
        return max((b - a for a, b in zip(times, times[1:]) if self.begin < b <= self.end), default=0)


class Load:
    """The writers of all libraries, at work on `members`."""

    def __init__(self, members, counts):
        self.members, self.counts = members, counts
        self.folder = tempfile.mkdtemp(prefix="paddock-gaps-")
        self.programs, self.writers, self.events = {}, [], []
        self.told = {}  # of each client: connections lost, and whether its session was kept

    def start(self, commands):
        client = kazoo_worker.connect(self.members.hosts)
        client.create(kazoo_writer.ROOT)
        client.stop()
        for library, command in commands.items():
            names = [f"{library}-{number}" for number in range(1, CLIENTS + 1)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            process = subprocess.Popen([*command, self.members.hosts, self.folder, *names], **pipes)
            self.programs[library] = Program(process, self.counts)
        for library, program in self.programs.items():
            for _, name, session in program.words_until("ready", "begun"):
                self.writers.append(Writer(library, name, session, self.folder))

    def close(self):
        for program in self.programs.values():
            program.process.kill()
            program.process.wait()
        shutil.rmtree(self.folder)

    def until(self, answers):
        """Waits until each has so many answers more."""
        wanted = {writer: writer.read() + answers for writer in self.writers}
        deadline = time.monotonic() + LIMIT
        while late := [writer.name for writer in self.writers if writer.read() < wanted[writer]]:
            if time.monotonic() > deadline:
                raise Broken(f"no answers for {LIMIT} s: {', '.join(late)}")
            time.sleep(0.02)
        return time.time() * 1e3

    def where(self):
        """Which member each session is connected to."""
        found = re.compile(r"sid=0x([0-9a-f]+)")
        members = self.members.cluster
        return {int(sid, 16): m.server_id for m in members for sid in found.findall(m.say("cons"))}

    def quiet(self):
        begin = time.time() * 1e3
        self.events.append(Event("nothing", begin, self.until(QUIET)))

    def restart(self, member):
        role = "leader" if "Mode: leader" in member.say("srvr") else "follower"
        where, begin = self.where(), time.time() * 1e3
        member.stop()
        member.run()
        self.members.in_sync()
        self.events.append(Event(f"SIGTERM of the {role}", begin, self.until(SETTLED), member.server_id, where))

    def kill_leader(self):
        leader = self.members.leader()
        where, begin = self.where(), time.time() * 1e3
        leader.kill()
        end = self.until(SETTLED)
        self.events.append(Event("SIGKILL of the leader", begin, end, leader.server_id, where))
        leader.run()
        self.members.in_sync()
        self.events.append(Event("it comes back", end, self.until(SETTLED)))

    def end(self):
        """Stops the writers, and judges what they wrote."""
        for program in self.programs.values():
            program.tell("end")
        for program in self.programs.values():
            for _, name, losses, kept in program.words_until(None, "client"):
                self.told[name] = (int(losses), kept == "kept")
        missing, twice, disorder, gone = {}, {}, [], []
        for writer in self.writers:
            writer.read()
        for member in self.members.cluster:
            client = kazoo_worker.connect(member.address)
            client.sync("/")
            for writer in self.writers:
                stat = client.exists(f"{kazoo_writer.ROOT}/alive-{writer.name}")
                if stat is None or stat.ephemeralOwner != writer.session:
                    gone.append(f"{writer.name} on {member.server_id}: {stat}")
                nodes = nodes_of(client, writer.name)
                missing.setdefault(writer.library, []).extend(set(writer.nodes) - set(nodes))
                numbers = [int(node.split("-")[0]) for node in nodes]
                twice.setdefault(writer.library, []).extend(set(nodes) - set(writer.nodes))
                if numbers != list(range(len(numbers))):
                    disorder.append(f"{writer.name} on {member.server_id}")
            client.stop()
        lost_sessions = [name for writer in self.writers if not self.told.get(name := writer.name, (0, False))[1]]
        self.claim("no session was lost or changed", lost_sessions)
        self.claim("the ephemeral of each session is there, on each member", gone)
        self.claim("every answered write is there, on each member", [n for nodes in missing.values() for n in nodes])
        self.claim("nothing is there but what was answered, each once", [n for nodes in twice.values() for n in nodes])
        self.claim("each client's writes are in their order", disorder)
        return missing, twice

    def claim(self, words, faults):
        self.counts.claim(f"FAIL gaps: {words}: {'; '.join(map(str, faults[:5]))}" if faults else f"ok   gaps: {words}")

    def table(self, missing, twice):
        print(f"     {'longest ms between two answers':36}{'':6} gaps   median      p90      max   > 200 ms")
        libraries = list(self.programs)
        for what in sorted({event.row(writer) for event in self.events for writer in self.writers}):
            for library in [*libraries, "all"]:
                gaps = sorted(
                    event.gap(near(writer.times, event))
                    for event in self.events
                    for writer in self.writers
                    if library in (writer.library, "all") and event.row(writer) == what
                )
                if gaps:
                    many = sum(gap > LONG for gap in gaps)
                    print(
                        f"     {what:36}{library:6}{len(gaps):5}{statistics.median(gaps):9.1f}"
                        f"{gaps[(len(gaps) * 9 - 1) // 10]:9.1f}{gaps[-1]:9.1f}{many:6} = {many / len(gaps):.1%}"
                    )
        for library in libraries:
            of = [writer for writer in self.writers if writer.library == library]
            told = [self.told.get(writer.name, (0, False)) for writer in of]
            print(
                f"     {library}: {sum(len(w.nodes) for w in of)} writes answered, {len(missing[library])} lost, "
                f"{len(twice[library])} there unasked or twice; {sum(losses for losses, _ in told)} connections lost, "
                f"{sum(not kept for _, kept in told)} of {len(of)} sessions lost"
            )


def near(times, event):
    """The answers of an event and the one before it."""
    first, last = bisect.bisect_right(times, event.begin), bisect.bisect_right(times, event.end)
    return times[max(first - 1, 0) : last]


def nodes_of(client, name):
    """What is there of a client's writes, in the order of their creation."""
    folder = f"{kazoo_writer.ROOT}/{name}"
    buckets = sorted(client.get_children(folder), key=int)
    return [
        node
        for bucket in buckets
        for node in sorted(client.get_children(f"{folder}/{bucket}"), key=lambda node: int(node.split("-")[1]))
    ]


def run(commands, kind, rounds, counts):
    began = time.monotonic()
    with Members() as members:
        load = Load(members, counts)
        try:
            load.start(commands)
            load.until(SETTLED)
            for _ in range(rounds):
                for act in [load.kill_leader] if kind == "kills" else [lambda m=m: load.restart(m) for m in members.cluster]:
                    act()
                    load.quiet()
            failed = counts.failed
            load.table(*load.end())
            members.judge(counts, "gaps", failed)
        finally:
            load.close()
    print(f"     {kind}: {rounds}, {time.monotonic() - began:.0f} s", flush=True)
