"""kazoo's and Curator's recipes in loops, two processes of each, through rolling restarts and kills of the leader.

All four processes run at once on three members. They write into files what they did and when, each recipe's in one of
its own, and we judge that by what the recipe promises:
  held      one holder of a thing at a time: no two times of holding overlap, and a number in a file to which every holder
            adds 1 (it reads it, waits for a write of its fence, and writes it) lost nothing
  counters  every increment that was answered is there. kazoo and Curator send again what they have no answer to, so each
            connection that was lost may have added one more; without one the total is exact
  queues    an item is taken once at most. kazoo's LockingQueue loses none; its Queue deletes an item before it is handled,
            so each lost connection of a consumer may lose one
  barriers  nobody passes one before it is opened
  caches    once nobody writes, a cache comes to be what is there
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter

import kazoo_worker
from members import Members, Program

NAMES = ("one", "two")
HELD = {"kazoo": ("lock", "election"), "java": ("mutex", "selector")}  # those that have a number in a file, and a fence
# Of what a process finds by itself.
CLAIMS = {
    "fence": "nobody but the holder writes the fence",
    "cache": "the caches come to be what is there",
    "present": "the PersistentNode of a session that lives is there",
    "again": "each recipe gets on after each event",
    "session": "no session is lost or changed",
    "progress": "everything goes on",
}


class Library:
    """Two processes of one library."""

    def __init__(self, name, command, hosts, counts):
        self.name, self.root = name, f"/recipes-{name}"
        self.folder = tempfile.mkdtemp(prefix=f"paddock-recipes-{name}-")
        self.prepare(hosts)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.programs = [
            Program(subprocess.Popen([*command, hosts, self.folder, one], **pipes), counts) for one in NAMES
        ]
        self.told = []

    def prepare(self, hosts):
        client = kazoo_worker.connect(hosts)
        for path in ("barriers", "tree", *(f"fences/{recipe}" for recipe in HELD[self.name])):
            client.ensure_path(f"{self.root}/{path}")
        for name in NAMES:
            client.create(f"{self.root}/barriers/{name}", b"0")
        for recipe in HELD[self.name]:
            with open(os.path.join(self.folder, f"{recipe}.count"), "w") as file:
                file.write("0")
        client.stop()

    def close(self):
        for program in self.programs:
            program.process.kill()
            program.process.wait()
        shutil.rmtree(self.folder)

    def each(self, line, answer):
        for program in self.programs:
            if line:
                program.tell(line)
        for program in self.programs:
            program.until(answer)

    def end(self):
        self.each("end", "stopped")
        for program in self.programs:
            program.tell("judge")
        for program in self.programs:
            self.told.append([line for line in iter(program.lines.get, None)])

    def said(self, first):
        """The rest of each line of both processes that begins with `first`."""
        return [line.split(" ", 1)[1] for lines in self.told for line in lines if line.startswith(first + " ")]

    def notes(self, recipe):
        """What both processes noted of a recipe, by the first word."""
        found = {}
        for name in NAMES:
            with contextlib.suppress(FileNotFoundError), open(os.path.join(self.folder, f"{recipe}.{name}")) as file:
                for line in file:
                    first, *words = line.split()
                    found.setdefault(first, []).append((name, *words))
        return found

    def recipes(self):
        return sorted({line.split()[0] for line in self.said("did")})


class Judge:
    def __init__(self, library, counts):
        self.library, self.counts = library, counts
        self.losses = sum(map(int, library.said("losses")))

    def claim(self, words, faults):
        text = f"{self.library.name}: {words}"
        self.counts.claim(f"FAIL {text}: {'; '.join(map(str, faults[:5]))}" if faults else f"ok   {text}")

    def all(self):
        if len(self.library.said("losses")) != len(NAMES):
            self.claim("both processes come to their end", self.library.told)
        for recipe in self.library.recipes():
            notes = self.library.notes(recipe)
            if "held" in notes:
                self.held(recipe, notes["held"])
            if "added" in notes:
                self.added(recipe, len(notes["added"]))
            if "puts" in notes:
                self.queue(recipe, notes)
            if "opens" in notes:
                self.barrier(recipe, notes)
        for claim, words in CLAIMS.items():
            if claim != "present" or self.library.name == "java":
                self.claim(words, [what for what in self.library.said("fault") if what.split()[0] == claim])
        did = {}
        for line in self.library.said("did"):
            recipe, rounds = line.split()
            did.setdefault(recipe, []).append(int(rounds))
        rounds = ", ".join(f"{recipe} {' + '.join(map(str, both))}" for recipe, both in did.items())
        print(f"     {self.library.name}: {self.losses} connections lost; rounds of both: {rounds}")

    def held(self, recipe, notes):
        faults = []
        things = {}
        for who, thing, begin, end in notes:
            things.setdefault(thing, []).append((int(begin), int(end), who))
        for thing, times in things.items():
            times.sort()
            faults += [f"{thing}: {a} and {b}" for a, b in zip(times, times[1:]) if b[0] < a[1]]
        if recipe in HELD[self.library.name]:
            with open(os.path.join(self.library.folder, f"{recipe}.count")) as file:
                if (found := file.read()) != str(len(notes)):
                    faults.append(f"the file says {found}, it was held {len(notes)} times")
        if len({who for who, *_ in notes}) != len(NAMES):
            faults.append("one of the two never held it")
        self.claim(f"{recipe}: one holder at a time", faults)

    def added(self, recipe, answered):
        totals = {line.split()[1] for line in self.library.said("total") if line.split()[0] == recipe}
        sound = len(totals) == 1 and answered <= int(*totals) <= answered + self.losses
        what = f"{' and '.join(totals)}; {answered} were answered, {self.losses} connections lost"
        self.claim(f"{recipe}: the total is what was answered", [] if sound else [what])

    def queue(self, recipe, notes):
        sent, put = ({token for _, token in notes.get(what, [])} for what in ("puts", "put"))
        got = [token for _, token in notes.get("got", [])]
        left = {line.split()[1] for line in self.library.said("left") if line.split()[0] == recipe}
        twice = {token for token, times in Counter(got).items() if times > 1} | (left & set(got))
        self.claim(f"{recipe}: what is taken was put, and is taken once", [*twice, *(set(got) - sent)])
        lost = put - set(got) - left
        may = self.losses if recipe == "queue" else 0
        self.claim(f"{recipe}: nothing that was put is lost", [] if len(lost) <= may else [lost, f"{may} may be"])

    def barrier(self, recipe, notes):
        opened = {number: int(at) for _, number, at in notes["opens"]}
        passed = {number: int(at) for _, number, at in notes.get("passes", [])}
        early = [number for number, at in passed.items() if at < opened.get(number, at + 1)]
        behind = [] if len(opened) - len(passed) in (0, 1) else [f"{len(opened)} opened, {len(passed)} passed"]
        self.claim(f"{recipe}: passed once it is open, each", early + behind)


def run(commands, rounds, counts):
    began = time.monotonic()
    with Members() as members:
        libraries = []
        try:
            for name, command in commands.items():
                libraries.append(Library(name, command, members.hosts, counts))
            every = lambda line, answer: [library.each(line, answer) for library in libraries]  # noqa: E731
            every(None, "ready")
            for _ in range(rounds):
                for member in members.cluster:
                    member.stop()
                    member.run()
                    members.in_sync()
                    every("event", "again")
                leader = members.leader()
                leader.kill()
                every("event", "again")
                leader.run()
                members.in_sync()
                every("event", "again")
            failed = counts.failed
            for library in libraries:
                library.end()
                Judge(library, counts).all()
            members.judge(counts, "recipes", failed)
        finally:
            for library in libraries:
                library.close()
    print(f"     recipes: {rounds} rolling restarts, as many leaders killed; {time.monotonic() - began:.0f} s", flush=True)
