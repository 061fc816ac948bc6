"""kazoo_recipes.py HOSTS FOLDER NAME: one of two processes that use kazoo's recipes without end; see recipes.py."""

import contextlib
import datetime
import os
import random
import sys
import threading
import time
import warnings

import kazoo_worker
from kazoo.exceptions import BadVersionError, ConnectionLoss, NodeExistsError, NoNodeError
from kazoo.protocol.states import KazooState
from kazoo.recipe.barrier import Barrier
from kazoo.recipe.cache import TreeCache
from kazoo.recipe.election import Election
from kazoo.recipe.lease import NonBlockingLease
from kazoo.recipe.partitioner import SetPartitioner

ROOT = "/recipes-kazoo"
ITEMS = tuple("abcd")
warnings.filterwarnings("ignore", category=DeprecationWarning)  # kazoo's lease asks for the time in the old way


class Recipes(kazoo_worker.Steps):
    """Each step is a round of one recipe; a lost connection may end a round early."""

    def __init__(self, hosts, folder, name):
        self.recipes = (
            self.lock, self.election, self.counter, self.queue, self.locking_queue,
            self.barrier, self.partitioner, self.lease, self.tree,
        )  # fmt: skip
        self.did = {step.__name__: 0 for step in self.recipes}
        super().__init__(hosts, name, *map(self.counted, self.recipes))
        self.folder = folder
        self.hosts, self.part = hosts, None
        self.mutex = self.client.Lock(f"{ROOT}/lock", name)
        self.leading = Election(self.client, f"{ROOT}/election", name)
        self.number = self.client.Counter(f"{ROOT}/counter")
        self.items = self.client.Queue(f"{ROOT}/queue")
        self.locked_items = self.client.LockingQueue(f"{ROOT}/locking_queue")
        self.cache = TreeCache(self.client, f"{ROOT}/tree")
        self.cache.start()

    def counted(self, step):
        def run(number):
            with contextlib.suppress(ConnectionLoss):
                step(number)
            self.did[step.__name__] += 1

        run.__name__ = step.__name__
        return run

    def note(self, recipe, *words):
        """A line in the recipe's file of this process."""
        with open(os.path.join(self.folder, f"{recipe}.{self.name}"), "a") as file:
            file.write(" ".join(map(str, words)) + "\n")

    def visit(self, recipe):
        """What only one may do at a time: adds 1 to the number in a file, and writes a fence that nobody else writes."""
        begin, fence = time.monotonic_ns(), f"{ROOT}/fences/{recipe}"
        path = os.path.join(self.folder, f"{recipe}.count")
        with open(path) as file:
            before = int(file.read())
        token, version = f"{self.name} {begin}".encode(), self.client.retry(self.client.exists, fence).version
        try:
            kazoo_worker.settled(
                self.client,
                lambda: self.client.set(fence, token, version),
                lambda: self.client.get(fence)[0] == token,
            )
        except BadVersionError:
            self.fault("fence", f"{recipe}: {self.client.retry(self.client.get, fence)} wrote the fence meanwhile")
        with open(path, "w") as file:
            file.write(str(before + 1))
        self.note(recipe, "held", recipe, begin, time.monotonic_ns())

    def lock(self, _number):
        with self.mutex:
            self.visit("lock")

    def election(self, _number):
        self.leading.run(self.visit, "election")

    def counter(self, _number):
        self.number += 1
        self.note("counter", "added")

    def put(self, recipe, queue, number):
        token = f"{self.name}-{number}"
        self.note(recipe, "puts", token)
        queue.put(token.encode())
        self.note(recipe, "put", token)

    def queue(self, number):
        self.put("queue", self.items, number)
        if item := self.items.get():
            self.note("queue", "got", item.decode())

    def locking_queue(self, number):
        self.put("locking_queue", self.locked_items, number)
        item = self.locked_items.get(timeout=1)
        while item:
            try:
                if not self.locked_items.consume():
                    self.fault("session", f"{item}: the lock of a session that lives is not ours any more")
                break
            except ConnectionLoss:
                self.client.retry(self.client.sync, "/")
            except NoNodeError:  # it was consumed by the request whose answer was lost
                self.locked_items.processing_element = None
                break
        if item:
            self.note("locking_queue", "got", item.decode())

    def barrier(self, number):
        """The first sets a barrier, says so, and removes it; the second passes it. Each says how far it is."""
        mine, others = (f"{ROOT}/barriers/{it}" for it in (("one", "two") if self.name == "one" else ("two", "one")))
        at = Barrier(self.client, f"{ROOT}/barriers/{number}")
        if self.name == "one":
            at.create()
            self.client.retry(self.client.set, mine, str(number).encode())
            time.sleep(0.002)
            self.note("barrier", "opens", number, time.monotonic_ns())
            at.remove()
            self.reached(others, number)
        elif self.reached(others, number):
            while True:
                with contextlib.suppress(ConnectionLoss):
                    if at.wait(timeout=0.5):  # kazoo's waits on where its watch was lost with the connection
                        break
            self.note("barrier", "passes", number, time.monotonic_ns())
            self.client.retry(self.client.set, mine, str(number).encode())
        if self.over.is_set():
            self.client.retry(self.client.set, mine, b"end")

    def reached(self, path, number):
        """Whether the other process came that far; it may have ended before."""
        while (found := self.client.retry(self.client.get, path)[0]) != b"end":
            if int(found) >= number:
                return True
            time.sleep(0.005)
        return False

    def join(self):
        """
        A session of its own, which ends when it leaves, or once its connection was lost: kazoo's partitioner forgets a lock
        that comes to it while it begins anew, and nobody has the item from then on.
        """
        client, cut = kazoo_worker.connect(self.hosts), threading.Event()
        client.add_listener(lambda state: cut.set() if state != KazooState.CONNECTED else None)
        path = f"{ROOT}/partitioner"
        part = SetPartitioner(client, path, ITEMS, None, self.name, time_boundary=0.1, max_reaction_time=0.5)
        return client, cut, part

    def partitioner(self, _number):
        """Waits for its part of the items, and has it for a while; the second leaves and joins in each round."""
        while True:
            self.part = self.part or self.join()
            client, cut, part = self.part
            if part.acquired and not cut.is_set():
                break
            if cut.is_set() or part.failed:
                self.leave()
            elif part.release:
                part.release_set()
            else:
                part.wait_for_acquire(0.1)
        begin, items = time.monotonic_ns(), list(part)
        time.sleep(0.05)
        for item in items:
            self.note("partitioner", "held", item, begin, time.monotonic_ns())
        if self.name == "two" or self.over.is_set():
            self.leave()

    def leave(self):
        client, _, part = self.part
        part.finish()
        client.stop()
        client.close()
        self.part = None

    def lease(self, _number):
        """A lease that is had until its end, and not renewed, so that the other has it next."""
        asked, now = time.time(), time.monotonic()
        if NonBlockingLease(self.client, f"{ROOT}/lease", datetime.timedelta(seconds=2), self.name):
            begin, end = time.monotonic(), now + int(asked + 2) - asked  # the lease's end has no fraction of a second
            if begin < end:
                self.note("lease", "held", "lease", int(begin * 1e9), int(end * 1e9))
                time.sleep(end - begin + 0.1)
        time.sleep(0.05)

    def tree(self, number):
        """Changes the tree that the caches of both follow."""
        path = f"{ROOT}/tree/{random.randrange(10)}"
        with contextlib.suppress(NoNodeError, NodeExistsError):  # the other was quicker
            if self.client.exists(path) is None:
                self.client.create(path, b"new")
            elif random.random() < 0.2:
                self.client.delete(path)
            else:
                self.client.set(path, f"{self.name} {number}".encode())
        time.sleep(0.005)

    def gets_on(self):
        """Returns once each recipe had two rounds more: one was begun after we asked."""
        for recipe, wanted in {recipe: did + 2 for recipe, did in self.did.items()}.items():
            if not self.wait(lambda recipe=recipe, wanted=wanted: self.did[recipe] >= wanted):
                self.fault("again", f"{recipe} did not get on")

    def converges(self):
        """Nobody changes the tree any more: does the cache come to be what is there?"""
        self.client.retry(self.client.sync, "/")
        names = self.client.retry(self.client.get_children, f"{ROOT}/tree")
        there = {name: self.client.retry(self.client.get, f"{ROOT}/tree/{name}")[0] for name in names}
        deadline = time.monotonic() + 10
        while (found := self.cached()) != there:
            if time.monotonic() > deadline:
                return self.fault("cache", f"TreeCache has {found}, there is {there}")
            time.sleep(0.01)

    def left(self):
        """What is still in the queues."""
        for recipe, path in (("queue", "queue"), ("locking_queue", "locking_queue/entries")):
            for name in self.client.retry(self.client.get_children, f"{ROOT}/{path}"):
                yield f"{recipe} {self.client.retry(self.client.get, f'{ROOT}/{path}/{name}')[0].decode()}"

    def cached(self):
        names = self.cache.get_children(f"{ROOT}/tree") or ()
        return {name: data.data for name in names if (data := self.cache.get_data(f"{ROOT}/tree/{name}"))}


def main(hosts, folder, name):
    worker = Recipes(hosts, folder, name)
    worker.begin()
    worker.gets_on()
    print("ready", flush=True)
    while sys.stdin.readline().strip() == "event":
        worker.gets_on()
        print("again", flush=True)
    worker.end()
    print("stopped", flush=True)
    sys.stdin.readline()  # once the other has stopped, too
    worker.converges()
    print(f"total counter {int(worker.number.value)}")
    for token in worker.left():
        print(f"left {token}")
    print(f"losses {worker.losses}")
    for recipe, did in worker.did.items():
        print(f"did {recipe} {did}")
    for claim, what in worker.faults:
        print(f"fault {claim} {what}")
    sys.stdout.flush()
    worker.client.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
