"""run.py HOST:PORT CLASSPATH: runs the programs of ZooKeeper's tutorials and looks at what they print; see run.sh.

Where a program waits for others, those are a client of kazoo here. Waits are on lines and events, never on the clock;
their limit is far above what a sound server needs.
"""

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import uuid

from kazoo.client import KazooClient
from kazoo.recipe.watchers import ChildrenWatch

LIMIT = 60  # seconds


class Program:
    """A Java program of a tutorial, in a process group of its own, and the lines that it prints."""

    def __init__(self, classpath, *args):
        java = ("java", "-DLOG_LEVEL=OFF", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classpath)
        self.name = args[0]
        self.lines = queue.Queue()
        self.all = []
        self.process = subprocess.Popen(
            (*java, *args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def _next(self, wanted):
        try:
            line = self.lines.get(timeout=LIMIT)
        except queue.Empty:
            line = None
        assert line is not None, f"{self.name} did not say {wanted!r}, but {self.all}"
        self.all.append(line)
        return line

    def says(self, *wanted):
        """Waits for these lines; there may be others between."""
        for one in wanted:
            while self._next(one) != one:
                pass

    def has_said(self, line):
        return line in self.all or line in list(self.lines.queue)

    def ends(self):
        """Waits for its end, and takes the rest of what it says."""
        assert self.process.wait(LIMIT) == 0, f"{self.name}: exit {self.process.returncode}, {self.all}"
        while (line := self.lines.get(timeout=LIMIT)) is not None:
            self.all.append(line)

    def kill(self):
        """The end of it and of whatever it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(LIMIT)


class Stage:
    """What a check has to work with: the programs, and a client for what they do not do themselves."""

    def __init__(self, hosts, classpath):
        self.hosts, self.classpath, self.programs = hosts, classpath, []
        self.client = KazooClient(hosts=hosts, timeout=20)
        self.client.start(timeout=LIMIT)

    def run(self, *args):
        self.programs.append(Program(self.classpath, *args))
        return self.programs[-1]

    def close(self):
        for program in self.programs:
            program.kill()
        self.client.stop()
        self.client.close()


def producer_and_consumer(stage):
    """SyncPrimitive's queue: the consumer waits with a watch, and gets all elements in the order of their creation."""
    consumer = stage.run("SyncPrimitive", "qTest", stage.hosts, "100", "c")
    consumer.says("Consumer", "Going to wait")
    producer = stage.run("SyncPrimitive", "qTest", stage.hosts, "100", "p")
    producer.ends()
    consumer.ends()
    items = [line for line in consumer.all if line.startswith("Item: ")]
    assert items == [f"Item: {10 + at}" for at in range(100)], items
    assert stage.client.get_children("/app1") == []


def barrier(stage):
    """SyncPrimitive's double barrier of two. The other is kazoo: two of the program may miss each other, as one that is
    through need not have been seen by the one that waits."""
    stage.client.ensure_path("/b1")
    inside = queue.Queue()
    ChildrenWatch(stage.client, "/b1", lambda children: inside.put(len(children)))
    program = stage.run("SyncPrimitive", "bTest", stage.hosts, "2")
    while inside.get(timeout=LIMIT) < 1:
        pass
    assert not program.has_said("Entered barrier: 2"), "it is alone"
    stage.client.create("/b1/other", ephemeral=True)
    program.says("Entered barrier: 2")
    while inside.get(timeout=LIMIT) > 1:  # it works for a while, and leaves
        pass
    assert not program.has_said("Left barrier"), "the other is there"
    stage.client.delete("/b1/other")
    program.says("Left barrier")
    program.ends()


def executor(stage):
    """Executor and DataMonitor: a program runs while a znode exists, anew with each change of its data."""
    path, show = f"/executor-{uuid.uuid4().hex}", 'cat "$0"; echo; exec sleep 600'
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "data")
        program = stage.run("Executor", stage.hosts, path, file, "sh", "-c", show, file)
        stage.client.create(path, b"first")
        program.says("Starting child", "first")
        stage.client.set(path, b"second", version=0)
        program.says("Stopping child", "Starting child", "second")
        stage.client.delete(path, version=1)
        program.says("Killing process")
        stage.client.create(path, b"third")
        program.says("Starting child", "third")
        assert program.process.poll() is None
        program.kill()


def main(hosts, classpath):
    failed = 0
    checks = (producer_and_consumer, barrier, executor)
    for check in checks:
        stage = Stage(hosts, classpath)
        try:
            check(stage)
            print(f"ok {check.__name__}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED {check.__name__}", flush=True)
            traceback.print_exc(file=sys.stdout)
        finally:
            stage.close()
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: run.py HOST:PORT CLASSPATH")
    sys.exit(main(*sys.argv[1:]))
