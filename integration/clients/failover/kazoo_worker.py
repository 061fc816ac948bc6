"""A process with one kazoo client that takes a lock, counts, watches and is there, until it is told to stop."""

import logging
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadVersionError, ConnectionLoss, NodeExistsError, NoNodeError, RolledBackError
from kazoo.recipe.watchers import DataWatch

LIMIT = 60  # seconds any wait may take: far above what a sound ensemble needs
FOLDER = "/failover"
logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # it warns of every connection that it loses


def connect(hosts):
    """A client that asks again for as long as its connection is lost."""
    retry = {"max_tries": -1, "delay": 0.02, "max_delay": 0.2}
    client = KazooClient(hosts=hosts, timeout=20, command_retry=retry, connection_retry=retry)
    client.start(timeout=LIMIT)
    return client


def settled(client, act, landed):
    """What `act` returns; or, where the connection was lost meanwhile, what `landed` finds of it. Acts again if nothing."""
    while True:
        try:
            return act()
        except ConnectionLoss:
            client.retry(client.sync, "/")  # behind whatever the lost request did
            if found := client.retry(landed):
                return found


class Steps:
    """A client, and a thread for each step that it repeats until it is told to stop."""

    def __init__(self, hosts, name, *steps):
        self.name = name
        self.client = connect(hosts)
        self.session = self.client.client_id[0]
        self.faults = []  # (claim, what was seen)
        self.losses = 0  # how often the connection was lost
        self.stuck = False  # a thread ended early: nothing is worth waiting for
        self.moved = threading.Condition()
        self.over = threading.Event()
        self.client.add_listener(self.state_changed)
        self.threads = [threading.Thread(target=self.loop, args=(step,), daemon=True) for step in steps]

    def begin(self):
        for thread in self.threads:
            thread.start()

    def fault(self, claim, what):
        with self.moved:
            self.faults.append((claim, f"{self.name}: {what}"))
            self.moved.notify_all()

    def state_changed(self, state):
        self.losses += state == KazooState.SUSPENDED
        if state == KazooState.LOST and not self.over.is_set():
            self.fault("session", "the session was lost")

    def loop(self, step):
        try:
            for number in range(1, 1 << 31):
                if self.over.is_set():
                    return
                step(number)
                with self.moved:
                    self.moved.notify_all()
        except Exception as error:  # the thread's end is a fault, whatever it was
            self.stuck = True
            self.fault("progress", f"{step.__name__} ended with {error!r}")

    def wait(self, condition):
        with self.moved:
            return self.moved.wait_for(lambda: condition() or self.stuck, LIMIT) and condition()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(LIMIT)
            if thread.is_alive():
                self.fault("progress", "a thread never ended")
        if self.client.client_id[0] != self.session:
            self.fault("session", "it is another one now")


class Worker(Steps):
    def __init__(self, hosts, name):
        super().__init__(hosts, name, self.hold, self.count)
        self.held = self.counted = 0
        self.config = None
        self.client.create(f"{FOLDER}/alive-{name}", ephemeral=True)
        DataWatch(self.client, f"{FOLDER}/config", self.config_changed)
        self.begin()

    def config_changed(self, data, _stat):
        with self.moved:
            self.config = data
            self.moved.notify_all()

    def hold(self, number):
        """Takes the lock; while it is ours nobody else is the owner, nor writes the fence."""
        lock = self.client.Lock(f"{FOLDER}/lock", self.name)
        if not lock.acquire(timeout=LIMIT):
            return self.fault("lock", f"no lock within {LIMIT} s, hold {number}")
        token = f"{self.name}-{number}".encode()
        owner, fence = f"{FOLDER}/owner", f"{FOLDER}/fence"
        read = self.client.retry

        def is_ours(path):
            try:
                return read(self.client.get, path)[0] == token
            except NoNodeError:
                return False

        version = read(self.client.get, fence)[1].version
        try:
            settled(self.client, lambda: self.client.create(owner, token, ephemeral=True), lambda: is_ours(owner))
            settled(self.client, lambda: self.client.set(fence, token, version), lambda: is_ours(fence))
            if not is_ours(owner):
                self.fault("lock", f"hold {number}: the owner's znode is not ours any more")
            settled(self.client, lambda: self.client.delete(owner) or True, lambda: not is_ours(owner))
        except NodeExistsError:
            self.fault("lock", f"hold {number}: {read(self.client.get, owner)[0]} is the owner")
        except (BadVersionError, NoNodeError) as error:
            self.fault("lock", f"hold {number}: somebody else was here: {error!r}")
        lock.release()
        self.held += 1

    def count(self, number):
        """Adds 1 to the counter, and a marker by which the increment is known, in one multi."""
        counter, marker = f"{FOLDER}/counter", f"{FOLDER}/marks/{self.name}-{number}"

        def add():
            data, stat = self.client.get(counter)
            multi = self.client.transaction()
            multi.set_data(counter, b"%d" % (int(data) + 1), stat.version)
            multi.create(marker)
            first, second = multi.commit()
            if isinstance(first, BadVersionError):
                return None  # the other was quicker
            for result in (first, second):
                if isinstance(result, (RolledBackError, NodeExistsError)):
                    raise result
            return True

        while not settled(self.client, add, lambda: self.client.exists(marker)):
            pass
        self.counted += 1

    def saw(self, value):
        if not self.wait(lambda: self.config == value):
            self.fault("watch", f"it last saw {self.config}, not {value}")

    def gets_on(self):
        """Returns once it has held the lock and counted anew: twice, so that one was begun after we asked."""
        held, counted = self.held + 2, self.counted + 2
        if not self.wait(lambda: self.held >= held):
            self.fault("again", "it did not hold the lock again")
        if not self.wait(lambda: self.counted >= counted):
            self.fault("progress", "it did not count again")


def work(hosts, name, pipe):
    """The process: answers (method, arguments) with what is wrong so far and what was done."""
    worker = Worker(hosts, name)
    pipe.send(worker.session)
    while True:
        method, *arguments = pipe.recv()
        getattr(worker, method)(*arguments)
        pipe.send((worker.faults, worker.held, worker.counted))
        if method == "end":
            worker.client.stop()
            return
