"""tutorial.py HOST:PORT: a leader, a configuration, a lock, as their users write them with kazoo.

Prints a line for each check and "N passed, N failed". Waits are on events, never on the clock;
their limit is far above what a sound server needs.
"""

import logging
import queue
import socket
import sys
import threading
import traceback
import uuid

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadVersionError, NodeExistsError, NoNodeError
from kazoo.protocol.states import EventType
from kazoo.recipe.watchers import ChildrenWatch, DataWatch

LIMIT = 60  # seconds


class Users:
    """Clients of one check, all in a folder of its own."""

    def __init__(self, hosts):
        self.folder = f"/tutorial-{uuid.uuid4().hex}"
        self.hosts = hosts
        self.clients = []

    def client(self):
        client = KazooClient(hosts=self.hosts, timeout=20)
        client.start(timeout=LIMIT)
        client.ensure_path(self.folder)
        client.chroot = self.folder
        self.clients.append(client)
        return client

    def close(self):
        for client in self.clients:
            client.stop()
            client.close()


def heard(events):
    return events.get(timeout=LIMIT)


def reconnect(client):
    """Breaks the client's socket and returns once it is connected again, on the same session."""
    states = queue.Queue()
    client.add_listener(states.put)
    session = client.client_id[0]
    client._connection._socket.shutdown(2)
    assert heard(states) == KazooState.SUSPENDED
    assert heard(states) == KazooState.CONNECTED
    client.remove_listener(states.put)
    assert client.client_id[0] == session, "another session after the reconnect"


def leader(users):
    """Whoever creates the ephemeral leads; the other watches it and takes over when it goes."""
    first, second = users.client(), users.client()
    first.create("/leader", b"first", ephemeral=True)
    gone = queue.Queue()
    try:
        second.create("/leader", b"second", ephemeral=True)
        raise AssertionError("two leaders")
    except NodeExistsError:
        data, stat = second.get("/leader", watch=gone.put)
    assert data == b"first"
    assert stat.ephemeralOwner == first.client_id[0]
    reconnect(first)
    assert gone.empty(), "the leader is there, but its watch fired"
    reconnect(second)
    assert heard(gone).type == EventType.NONE  # kazoo gives its watches up with the connection
    assert second.exists("/leader", watch=gone.put) == stat
    first.stop()
    event = heard(gone)
    assert (event.type, event.path) == (EventType.DELETED, "/leader"), event
    second.create("/leader", b"second", ephemeral=True)
    assert second.get("/leader")[0] == b"second"


def election(users):
    """kazoo's own election, among two."""
    terms, over = queue.Queue(), threading.Event()

    def lead(name):
        terms.put(name)
        over.wait(LIMIT)

    runs = []
    for name in ("first", "second"):
        run = users.client().Election("/election", name).run
        runs.append(threading.Thread(target=run, args=(lead, name), daemon=True))
    for thread in runs:
        thread.start()
    one = heard(terms)
    assert terms.empty(), "two terms at once"
    over.set()
    assert {one, heard(terms)} == {"first", "second"}
    for thread in runs:
        thread.join(LIMIT)
        assert not thread.is_alive()


def configuration(users):
    """A persistent znode that survives its writer; its readers see each change, also after a reconnect."""
    writer, reader = users.client(), users.client()
    writer.create("/app/config", b"v1", makepath=True)
    seen = queue.Queue()

    @DataWatch(reader, "/app/config")
    def changed(data, stat):
        seen.put((data, stat.version if stat else None))

    assert heard(seen) == (b"v1", 0)
    stat = writer.set("/app/config", b"v2", version=0)
    assert stat.version == 1
    assert heard(seen) == (b"v2", 1)
    try:
        writer.set("/app/config", b"lost update", version=0)
        raise AssertionError("a stale version was taken")
    except BadVersionError:
        pass
    reconnect(reader)
    writer.set("/app/config", b"v3")
    assert heard(seen) == (b"v3", 2)
    writer.stop()
    assert reader.get("/app/config")[0] == b"v3", "it went with its writer"
    reader.delete("/app/config", version=2)
    assert heard(seen) == (None, None)
    assert reader.exists("/app/config") is None


def members(users):
    """A group whose members are its ephemeral children."""
    watcher, member = users.client(), users.client()
    seen = queue.Queue()
    watcher.ensure_path("/group")
    ChildrenWatch(watcher, "/group", lambda children: seen.put(sorted(children)))
    assert heard(seen) == []
    member.create("/group/m-", ephemeral=True, sequence=True)
    assert heard(seen) == ["m-0000000000"]
    member.create("/group/m-", ephemeral=True, sequence=True)
    assert heard(seen) == ["m-0000000000", "m-0000000001"]
    reconnect(watcher)
    member.stop()
    left = heard(seen)
    while left:  # the two go with one session, but may be told one by one
        left = heard(seen)


def lock(users):
    """One holder at a time; the next gets it when it is released, or when the holder is gone."""
    one, two = users.client(), users.client()
    first = one.Lock("/lock", "first")
    second = two.Lock("/lock", "second")
    assert first.acquire(timeout=LIMIT)
    assert not second.acquire(blocking=False)
    acquired = threading.Event()

    def wait():
        if second.acquire(timeout=LIMIT):
            acquired.set()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    in_line = queue.Queue()
    ChildrenWatch(one, "/lock", lambda children: in_line.put(len(children)))
    while heard(in_line) < 2:
        pass
    assert first.contenders() == ["first", "second"], first.contenders()
    reconnect(one)
    reconnect(two)
    assert not acquired.is_set(), "two holders"
    one.stop()  # without a release: the session's end is enough
    waiting.join(LIMIT)
    assert acquired.is_set()
    second.release()


def transaction(users):
    """All of it or nothing."""
    client = users.client()
    client.create("/account", b"10")
    wrong = client.transaction()
    wrong.create("/receipt")
    wrong.check("/account", version=5)
    results = wrong.commit()
    assert isinstance(results[1], BadVersionError), results
    assert client.exists("/receipt") is None
    right = client.transaction()
    right.check("/account", version=0)
    right.set_data("/account", b"9")
    right.create("/receipt", b"1")
    assert right.commit()[2] == "/receipt"
    assert client.get("/account")[1].mzxid == client.get("/receipt")[1].czxid
    try:
        client.delete("/none")
        raise AssertionError("deleted what is not there")
    except NoNodeError:
        pass


CHECKS = (leader, election, configuration, members, lock, transaction)


def main(hosts):
    host, port = hosts.rsplit(":", 1)
    socket.create_connection((host, int(port))).close()  # or each check would find out by itself
    logging.getLogger("kazoo").addHandler(logging.NullHandler())  # it reports every socket we break
    passed = failed = 0
    for check in CHECKS:
        users = Users(hosts)
        try:
            check(users)
            passed += 1
            print(f"ok   {check.__name__}")
        except Exception:
            failed += 1
            print(f"FAIL {check.__name__}: {traceback.format_exc().strip()}")
        finally:
            users.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
