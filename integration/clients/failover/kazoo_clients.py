"""kazoo_clients.py HOSTS: two processes with a kazoo client each, and a third that looks at them; see run.py."""

import multiprocessing
import sys

import kazoo_worker
from kazoo_worker import FOLDER, LIMIT

NAMES = ("one", "two")
CLAIMS = {
    "lock": "the lock has one holder at a time",
    "again": "each process holds the lock again after each kill",
    "watch": "a DataWatch sees the last value, after each kill",
    "alive": "the ephemerals of live sessions are there, after each kill",
    "session": "no session is lost or changed",
    "counter": "the counter is the number of acknowledged increments",
    "progress": "everything goes on",
}


class Judge:
    def __init__(self, hosts):
        self.client = kazoo_worker.connect(hosts)
        self.session = self.client.client_id[0]
        self.faults = []
        for path, data in (("", b""), ("/config", b"0"), ("/fence", b""), ("/counter", b"0"), ("/marks", b""), ("/lock", b"")):
            self.client.create(FOLDER + path, data)
        self.workers = {name: Remote(hosts, name) for name in NAMES}
        self.born = {name: self.alive(name).czxid for name in NAMES}

    def alive(self, name):
        self.client.retry(self.client.sync, FOLDER)
        return self.client.retry(self.client.exists, f"{FOLDER}/alive-{name}")

    def all(self, *order):
        for worker in self.workers.values():
            worker.pipe.send(order)
        for worker in self.workers.values():
            worker.listen()

    def killed(self, number):
        """While a member is away."""
        value = b"%d" % number
        self.client.retry(self.client.set, f"{FOLDER}/config", value)
        self.all("saw", value)
        self.all("gets_on")
        for name, worker in self.workers.items():
            stat = self.alive(name)
            if stat is None or (stat.ephemeralOwner, stat.czxid) != (worker.session, self.born[name]):
                self.faults.append(("alive", f"{name}: {stat}"))

    def end(self):
        self.all("end")
        self.client.retry(self.client.sync, FOLDER)
        data, stat = self.client.retry(self.client.get, f"{FOLDER}/counter")
        marks = len(self.client.retry(self.client.get_children, f"{FOLDER}/marks"))
        acknowledged = sum(worker.counted for worker in self.workers.values())
        if not int(data) == stat.version == marks == acknowledged:
            what = f"{int(data)}, in version {stat.version}, of {marks} markers; {acknowledged} are acknowledged"
            self.faults.append(("counter", what))
        if self.client.client_id[0] != self.session:
            self.faults.append(("session", "the judge has another one"))
        held = sum(worker.held for worker in self.workers.values())
        print(f"     kazoo: the lock was held {held} times, the counter is {int(data)}")
        self.client.stop()
        return self.faults + [fault for worker in self.workers.values() for fault in worker.faults]


class Remote:
    """A worker's process as we see it."""

    def __init__(self, hosts, name):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=kazoo_worker.work, args=(hosts, name, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.session = self.next()
        self.faults, self.held, self.counted = [], 0, 0

    def next(self):
        if not self.pipe.poll(3 * LIMIT):
            raise TimeoutError("a worker does not answer")
        return self.pipe.recv()

    def listen(self):
        self.faults, self.held, self.counted = self.next()


def main(hosts):
    judge = Judge(hosts)
    judge.all("gets_on")
    print("ready", flush=True)
    kills = 0
    while sys.stdin.readline().strip() == "killed":
        kills += 1
        judge.killed(kills)
        print("again", flush=True)
    faults = judge.end()
    for claim, words in CLAIMS.items():
        seen = [what for about, what in faults if about == claim]
        print(f"FAIL kazoo: {words}: {'; '.join(seen[:5])}" if seen else f"ok   kazoo: {words}")


if __name__ == "__main__":
    main(sys.argv[1])
