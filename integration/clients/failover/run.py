"""Clients of three members, while leader after leader is killed.

Starts three members, and runs each program on them in turn. A program keeps its clients at work in the background all
the time. We tell it, a line on its standard input each:
  killed  the leader was just killed with SIGKILL and stays away: it looks at what must hold, sees that each client gets
          on with what it does, and answers `again`; only then is the member started again
  end     it stops its clients and says of each claim whether it held
It prints `ready` once its clients are at work, and for each claim `ok   …` or `FAIL …`. Ends with "N passed, N failed".
"""

import argparse
import contextlib
import os
import queue
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kazoo"))

import programs  # noqa: E402
import servers  # noqa: E402  (found by the line above)

# Seconds for any answer: above the longest wait of a program, so that it is the program that tells what is missing.
LIMIT = 150


class Broken(Exception):
    """A program or the ensemble did not do what it must, in words."""


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

    def ended(self):
        """Those that ended by themselves."""
        return [m.server_id for m in self.cluster if m.running and m.process.poll() is not None]


class Counts:
    def __init__(self):
        self.passed = self.failed = 0

    def claim(self, line):
        """Prints a line and counts it if it is about a claim."""
        print(line, flush=True)
        self.passed += line.startswith("ok ")
        self.failed += line.startswith("FAIL ")


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

    def _next(self, wanted):
        try:
            return self.lines.get(timeout=LIMIT)
        except queue.Empty:
            raise Broken(f"it said nothing for {LIMIT} s; {wanted!r} is missing") from None


def rounds_of(program, members, rounds):
    program.until("ready")
    for _ in range(rounds):
        leader = members.leader()
        leader.kill()
        program.tell("killed")
        program.until("again")
        leader.run()
    program.tell("end")
    program.until(None)


def run(name, command, members, rounds, counts):
    """One program, all its rounds."""
    before, began = counts.passed + counts.failed, time.monotonic()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, members.hosts], **pipes) as process:
        try:
            rounds_of(Program(process, counts), members, rounds)
            code = process.wait(timeout=LIMIT)
            if code != 0 or counts.passed + counts.failed == before:
                raise Broken(f"it ended with {code}")
        finally:
            process.kill()
    if ended := members.ended():
        raise Broken(f"members {ended} ended by themselves")
    counts.claim(f"ok   {name}: no member ended but those that were killed")
    print(f"     {name}: leaders killed: {rounds}; {time.monotonic() - began:.0f} s", flush=True)


def main(options):
    servers.command = options.server_cmd
    counts = Counts()
    commands = {name: programs.ALL[name]() for name in options.suites or programs.ALL}
    for name, command in commands.items():
        try:
            with Members() as members:
                failed = counts.failed
                run(name, command, members, options.rounds, counts)
                if counts.failed > failed:
                    members.tell_logs()
        except (Broken, OSError, RuntimeError, subprocess.TimeoutExpired) as why:
            counts.claim(f"FAIL {name}: {why}")
    print(f"{counts.passed} passed, {counts.failed} failed")
    return 0 if counts.passed and not counts.failed else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--server-cmd", required=True, help="runs one member on the zoo.cfg in place of {config}")
    parser.add_argument("--rounds", type=int, default=3, help="leaders to kill for each program")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(programs.ALL)}")
    sys.exit(main(parser.parse_args()))
