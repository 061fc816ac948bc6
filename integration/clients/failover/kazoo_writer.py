"""kazoo_writer.py HOSTS FOLDER NAME…: a kazoo client of each name that writes without end; see gaps.py."""

import os
import sys
import time

import kazoo_worker
from kazoo.exceptions import NodeExistsError
from kazoo.protocol.states import KazooState

ROOT = "/gaps"
BUCKET = 1000  # numbers in one folder: its listing stays far below what a client reads at once
PAUSE = 0.005  # seconds from one write to the next, unless it takes longer
OFFSET = time.time() - time.monotonic()


def now():
    """Milliseconds of the calendar, whose clock is asked once: what it is set to meanwhile changes no gap."""
    return (time.monotonic() + OFFSET) * 1e3


class Writer(kazoo_worker.Steps):
    """Creates a znode for each number, one after the other."""

    def __init__(self, hosts, folder, name):
        self.file = None
        super().__init__(hosts, name, self.write)
        self.client.create(f"{ROOT}/alive-{name}", ephemeral=True)
        self.client.create(f"{ROOT}/{name}")
        self.file = open(os.path.join(folder, name), "w", buffering=1)
        self.due = time.monotonic()

    def state_changed(self, state):
        super().state_changed(state)
        if state == KazooState.SUSPENDED and self.file:
            self.file.write(f"lost {now():.3f} -\n")

    def write(self, step):
        number = step - 1
        bucket = f"{ROOT}/{self.name}/{number // BUCKET}"
        if number % BUCKET == 0:
            self.create(bucket)
        node = self.create(f"{bucket}/{number}-", sequence=True)
        self.file.write(f"{number} {now():.3f} {node.rsplit('/', 1)[-1]}\n")
        self.due = max(self.due + PAUSE, time.monotonic())
        time.sleep(max(0.0, self.due - time.monotonic()))

    def create(self, path, **how):
        """Creates it once: where the connection was lost meanwhile, it is looked up first whether it happened."""
        folder, name = path.rsplit("/", 1)

        def find():
            return next((node for node in self.client.get_children(folder) if node.startswith(name)), None)

        try:
            return kazoo_worker.settled(self.client, lambda: self.client.create(path, **how), find)
        except NodeExistsError:
            return path


def main(hosts, folder, *names):
    writers = [Writer(hosts, folder, name) for name in names]
    for writer in writers:
        print(f"begun {writer.name} {writer.session:x}")
        writer.begin()
    print("ready", flush=True)
    sys.stdin.readline()
    for writer in writers:
        writer.end()
        print(f"client {writer.name} {writer.losses} {'lost' if writer.faults else 'kept'}")
        for _, what in writer.faults:
            print(f"FAIL kazoo: {what}")
    sys.stdout.flush()
    os._exit(0)  # the sessions stay: their ephemerals are looked at


if __name__ == "__main__":
    main(*sys.argv[1:])
