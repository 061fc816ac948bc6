"""Three members, the programs that run on them, and what is counted."""

import contextlib
import os
import queue
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kazoo"))

import servers  # noqa: E402  (found by the line above)

# Seconds for any answer: above the longest wait of a program, so that it is the program that tells what is missing.
LIMIT = 150


class Broken(Exception):
    """A program or the ensemble did not do what it must, in words."""


def end_when_told():
    """SIGTERM and SIGINT unwind what runs, once: each `with` on the way ends the processes that it has started."""

    def end(number, _):
        for which in (signal.SIGTERM, signal.SIGINT):
            signal.signal(which, signal.SIG_IGN)  # a second one would cut that short
        sys.exit(128 + number)

    for which in (signal.SIGTERM, signal.SIGINT):
        signal.signal(which, end)


def until(what, look, limit=LIMIT):
    """What `look` returns, as soon as that is something."""
    deadline = time.monotonic() + limit
    while not (found := look()):
        if time.monotonic() > deadline:
            raise Broken(f"{what}: not within {limit} s")
        time.sleep(0.02)
    return found


class Members:
    """Three of them, all running but for one that was just killed."""

    def __init__(self):
        keys = ("4lw.commands.whitelist=*",)
        self.cluster = servers.ZookeeperCluster(3, configuration_entries=keys)

    def __enter__(self):
        with contextlib.ExitStack() as ends:
            ends.push(self.__exit__)
            self.cluster.start()
            self.leader()
            ends.pop_all()
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.tell_logs()
        with contextlib.ExitStack() as ends:  # all of them, whatever is wrong with one
            for member in self.cluster:
                ends.callback(member.destroy)
                ends.callback(member.kill)

    def tell_logs(self):
        print("".join(f"{m.server_id}: {line}" for m in self.cluster for line in m.get_logs(40)))

    @property
    def hosts(self):
        return ",".join(member.address for member in self.cluster)

    def leader(self):
        """Who says that it leads, as soon as one does."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            for member in self.cluster:
                if member.running and "Mode: leader" in member.say("srvr"):
                    return member
            time.sleep(0.01)
        raise Broken(f"nobody led within {LIMIT} s")

    def in_sync(self):
        """Returns once one leads and both others follow it with all that it has."""
        deadline = time.monotonic() + LIMIT
        while "zk_synced_followers\t2" not in self.leader().say("mntr"):
            if time.monotonic() > deadline:
                raise Broken(f"the three were not in sync within {LIMIT} s")
            time.sleep(0.01)

    def back(self, member):
        """Starts it again; returns once all three are in sync."""
        member.run()
        self.in_sync()

    def roll(self):
        """Ends one member after the other cleanly, the leader last, and starts it again; gives each once it is back."""
        first = self.leader()
        for member in (*(m for m in self.cluster if m is not first), first):
            member.stop()
            self.back(member)
            yield member

    def all_at_once(self):
        """Kills all three and starts them again: what they know is on their disks, and sessions are part of it."""
        for member in self.cluster:
            member.kill()
        self.cluster.start()
        self.in_sync()

    def ended(self):
        """Those that ended by themselves."""
        return [m.server_id for m in self.cluster if m.running and m.process.poll() is not None]

    def judge(self, counts, suite, failed):
        """Claims that nobody ended by itself; tells the logs where more than `failed` claims have failed by now."""
        if ended := self.ended():
            raise Broken(f"members {ended} ended by themselves")
        counts.claim(f"ok   {suite}: no member ended but those that were stopped")
        if counts.failed > failed:
            self.tell_logs()


class Users:
    """Processes that use the members, and a client that looks at what they keep there."""

    def __init__(self, client, processes):
        self.client = client
        self.processes = processes

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.tell_logs()
        with contextlib.ExitStack() as ends:
            ends.callback(self.client.stop)
            for process in self.processes:
                ends.callback(process.destroy)

    def tell_logs(self):
        print("".join(f"{process.name}: {line}" for process in self.processes for line in lines(process.log)[-60:]))

    def said(self, pattern):
        """What of their logs it finds."""
        said = [f"{process.name}: {line.strip()}" for process in self.processes for line in lines(process.log)]
        return [line for line in said if pattern.search(line)]


def lines(log):
    """Of a process's log, as far as there is one."""
    try:
        with open(log, errors="replace") as file:
            return file.readlines()
    except FileNotFoundError:
        return []


class Counts:
    def __init__(self):
        self.passed = self.failed = 0

    def claim(self, line):
        """Prints a line and counts it if it is about a claim."""
        print(line, flush=True)
        self.passed += line.startswith("ok ")
        self.failed += line.startswith("FAIL ")

    def holds(self, claim, faults=()):
        """Claims that there are no `faults`."""
        self.claim("\n".join([f"FAIL {claim}", *(f"     {fault}" for fault in faults)]) if faults else f"ok   {claim}")


class Program:
    """One of the programs, running."""

    def __init__(self, process, counts):
        self.process = process
        self.counts = counts
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def until(self, wanted):
        """Counts what comes up to the line `wanted`; None is the end."""
        while (line := self._next(wanted)) != wanted:
            if line is None:
                raise Broken(f"it ended before it said {wanted!r}")
            self.counts.claim(line)

    def words_until(self, wanted, first):
        """The words of each line up to `wanted` whose first is `first`; what else comes is counted."""
        found = []
        while (line := self._next(wanted)) != wanted:
            if line is None:
                raise Broken(f"it ended before it said {wanted!r}")
            if line.split(" ")[0] == first:
                found.append(line.split(" "))
            else:
                self.counts.claim(line)
        return found

    def _next(self, wanted):
        try:
            return self.lines.get(timeout=LIMIT)
        except queue.Empty:
            raise Broken(f"it said nothing for {LIMIT} s; {wanted!r} is missing") from None
