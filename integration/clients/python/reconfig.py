"""reconfig.py HOST:PORT: who the members of an ensemble are, changed with kazoo by super, whose password is "test".

Prints a line for each check and "N passed, N failed"; leaves the members as they were.
"""

import queue
import sys
import traceback

from kazoo.client import KazooClient
from kazoo.exceptions import BadArgumentsError, BadVersionError, NewConfigNoQuorumError, NoAuthError

LIMIT = 60  # seconds
CONFIG = "/zookeeper/config"
# Nobody is there: an observer need not be.
NOBODY = "server.9=127.0.0.1:1:2:observer;127.0.0.1:3"
FULL = {"joining": None, "leaving": None}


def parts(data):
    """The lines of the members, in order, and the version."""
    *members, last = data.decode().split("\n")
    return sorted(members), int(last.removeprefix("version="), 16)


def refused(why, client, **change):
    """The change is refused with `why`, and nothing is changed."""
    before = parts(client.get(CONFIG)[0])
    try:
        client.reconfig(**{"joining": None, "leaving": None, "new_members": None, **change})
        raise AssertionError(f"went through, though it should fail with {why.__name__}")
    except why:
        assert parts(client.get(CONFIG)[0]) == before


def more_and_fewer(admin, _):
    """A watch on the configuration is told, and the answer is what is read then."""
    told = queue.Queue()
    members, version = parts(admin.get(CONFIG, watch=told.put)[0])
    data, stat = admin.reconfig(joining=NOBODY, leaving=None, new_members=None)
    more, its_version = parts(data)
    assert more == [*members, NOBODY] and its_version == stat.mzxid > version, (data, stat, version)
    assert told.get(timeout=LIMIT).path == CONFIG
    assert parts(admin.get(CONFIG)[0]) == (more, its_version)
    data, _ = admin.reconfig(joining=None, leaving="9", new_members=None)
    assert parts(data)[0] == members and parts(admin.get(CONFIG)[0]) == parts(data)


def in_full_on_a_version(admin, _):
    members, version = parts(admin.get(CONFIG)[0])
    data, _ = admin.reconfig(new_members=",".join([*members, NOBODY]), from_config=version, **FULL)
    more, its_version = parts(data)
    assert more == [*members, NOBODY], data
    refused(BadVersionError, admin, leaving="9", from_config=version)
    refused(BadVersionError, admin, leaving="9", from_config=its_version + 1)
    assert parts(admin.reconfig(new_members=",".join(members), from_config=its_version, **FULL)[0])[0] == members


def refusals(admin, anybody):
    refused(NoAuthError, anybody, joining=NOBODY)
    refused(NoAuthError, anybody, joining="server.9=0.0.0.0:1:2:observer;3")
    refused(BadArgumentsError, admin, joining="some thing")
    refused(NewConfigNoQuorumError, admin, new_members="server.8=127.0.0.1:1:2;3,server.9=127.0.0.1:4:5;6")


CHECKS = (more_and_fewer, in_full_on_a_version, refusals)


def main(hosts):
    admin, anybody = KazooClient(hosts, auth_data=[("digest", "super:test")]), KazooClient(hosts)
    failed = 0
    try:
        for client in (admin, anybody):
            client.start(timeout=LIMIT)
        for check in CHECKS:
            try:
                check(admin, anybody)
                print(f"ok   reconfig, {check.__name__}")
            except Exception:
                failed += 1
                print(f"FAIL reconfig, {check.__name__}: {traceback.format_exc().strip()}")
    finally:
        for client in (admin, anybody):
            client.stop()
            client.close()
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
