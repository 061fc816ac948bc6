"""PostgreSQL under two Patroni nodes, one the other's synchronous replica, on three members.

Rows are inserted all the time, while the members are restarted one by one, their leader is killed, then all three at once:
the primary stays what it is. Then the primary and its Patroni are killed: the replica takes over, with every row that was acknowledged.
The killed node comes back, and is handed the lead again. Prints a line for each claim; ends with "N passed, N failed".
"""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "failover"))

import psycopg  # noqa: E402
from members import LIMIT, Broken, Counts, Members, Users, end_when_told, servers, until  # noqa: E402
from kazoo.exceptions import NoNodeError  # noqa: E402
from kazoo_worker import connect  # noqa: E402  (found by the line above)
from node import SCOPE, TTL, Node  # noqa: E402

# What Patroni and kazoo log where a session ends, or ZooKeeper stays away for too long.
GAVE_UP = re.compile(r"demot|expired|session lost|not accessible", re.IGNORECASE)


class Writer:
    """Inserts 1, 2, 3, …, each once the one before is acknowledged, wherever the primary is."""

    def __init__(self, nodes):
        ports = ",".join(str(node.port) for node in nodes)
        self.at = (
            f"host={','.join('127.0.0.1' for _ in nodes)} port={ports} dbname=postgres user=superuser "
            "target_session_attrs=read-write connect_timeout=5"
        )
        self.acked = self.lost = 0
        self.at_last = time.monotonic()
        self.longest = 0.0
        self.fault = None
        self.moved = threading.Condition()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def _write(self):
        while not self.over.is_set():
            try:
                with psycopg.connect(self.at, autocommit=True) as connection:
                    while not self.over.is_set():
                        self._insert(connection)
            except psycopg.OperationalError:  # the primary went, or there is none yet
                self.lost += 1
                self.over.wait(0.05)
            except Exception as error:  # whatever it was
                self.fault = repr(error)
                return

    def _insert(self, connection):
        """One whose answer was lost may be there already."""
        connection.execute("INSERT INTO rows VALUES (%s) ON CONFLICT DO NOTHING", (self.acked + 1,))
        with self.moved:
            now = time.monotonic()
            self.longest = max(self.longest, now - self.at_last)
            self.at_last = now
            self.acked += 1
            self.moved.notify_all()

    def get_on(self):
        """Returns once two more are acknowledged: one was begun after we asked. Says what it saw."""
        with self.moved:
            wanted = self.acked + 2
            if not self.moved.wait_for(lambda: self.acked >= wanted or self.fault, LIMIT) or self.fault:
                raise Broken(f"no rows are acknowledged: {self.acked} so far, {self.fault}")
            longest, self.longest = self.longest, 0.0
            return f"{self.acked} rows acknowledged, the longest pause {longest * 1000:.0f} ms"

    def end(self):
        self.over.set()
        self.thread.join(LIMIT)
        if self.thread.is_alive() or self.fault:
            raise Broken(f"the writer never ended: {self.fault}")


class Patroni(Users):
    """Two nodes, and what they keep in ZooKeeper."""

    def __init__(self, hosts):
        super().__init__(connect(hosts), [Node(number, hosts) for number in (1, 2)])

    @property
    def nodes(self):
        return self.processes

    def get(self, key):
        """Data and stat of a znode; nothing if it is not there."""
        try:
            data, stat = self.client.retry(self.client.get, f"/service/{SCOPE}/{key}")
            return data.decode(), stat
        except NoNodeError:
            return None

    def leads(self, node):
        """Whether it holds the leader's key, and PostgreSQL is its primary."""
        key = self.get("leader")
        return key and key[0] == node.name and key[1].ephemeralOwner and node.status().get("role") == "primary"

    def follows(self, node, primary):
        """Whether it is the primary's synchronous replica, by the primary's word and by ZooKeeper's."""
        streams = primary.ask(
            f"SELECT 1 FROM pg_stat_replication WHERE application_name = '{node.name}' "
            "AND state = 'streaming' AND sync_state = 'sync'"
        )
        sync = self.get("sync")
        wanted = {"leader": primary.name, "sync_standby": node.name}
        said = json.loads(sync[0]) if sync else {}
        answers = node.status().get("state") in ("running", "streaming")
        return streams and answers and all(said.get(key) == value for key, value in wanted.items())

    def standing(self, primary):
        """All that must stay as it is while it is the members that come and go."""
        data, stat = self.get("leader") or (None, None)
        said = primary.status()
        return {
            "leader's key": (data, stat and (stat.czxid, stat.ephemeralOwner)),
            **{key: said.get(key) for key in ("role", "timeline", "postmaster_start_time")},
        }

    def seen(self, since):
        """Whether both have heard of ZooKeeper since then."""
        return all(node.status().get("dcs_last_seen", 0) > since for node in self.nodes)


class Scenario:
    def __init__(self, members, patroni, counts):
        self.members = members
        self.patroni = patroni
        self.counts = counts
        self.primary, self.replica = patroni.nodes
        self.writer = None

    def claim(self, claim, faults=()):
        self.counts.holds(f"{claim}: {self.writer.get_on()}", faults)

    def begin(self):
        patroni, counts = self.patroni, self.counts
        self.primary.start()
        until("a primary", lambda: patroni.leads(self.primary) or self.ended(self.primary))
        counts.holds("the cluster initialises, and the leader's key is its primary's")
        self.replica.start()
        until("a replica", lambda: patroni.follows(self.replica, self.primary) or self.ended(self.replica))
        counts.holds("a replica streams, and is synchronous")
        self.primary.ask("CREATE TABLE rows (n bigint PRIMARY KEY)")
        self.writer = Writer(patroni.nodes)
        self.claim("rows are inserted")

    @staticmethod
    def ended(node):
        if node.process.poll() is not None:
            raise Broken(f"{node.name} ended with {node.process.returncode}")

    def members_come_and_go(self):
        before, lost = self.patroni.standing(self.primary), self.writer.lost

        def stood(claim):
            since = time.time() + 1  # Patroni tells it in whole seconds
            until("Patroni sees ZooKeeper", lambda: self.patroni.seen(since))
            now = self.patroni.standing(self.primary)
            faults = [f"{key}: {before[key]} became {now[key]}" for key in before if now[key] != before[key]]
            if self.writer.lost != lost:
                faults.append(f"{self.writer.lost - lost} connections to the primary were lost")
            self.claim(f"{claim}, the primary stays", faults + self.patroni.said(GAVE_UP))

        for member in self.members.roll():
            stood(f"member {member.server_id} restarted")
        leader = self.members.leader()
        leader.kill()
        stood("leader killed")
        self.members.back(leader)
        stood("leader back")
        self.members.all_at_once()
        stood("all members killed at once, and back")
        until("the replica", lambda: self.patroni.follows(self.replica, self.primary))

    def moves(self, claim, act):
        """The replica is promoted by `act`, on the next timeline."""
        timeline = until("the timeline", lambda: self.primary.status().get("timeline"))
        began = time.monotonic()
        act()
        acked = self.writer.acked
        self.primary, self.replica = self.replica, self.primary
        until(f"{claim}: another primary", lambda: self.patroni.leads(self.primary))
        took = time.monotonic() - began
        self.claim(f"{claim}: {self.primary.name} is primary after {took:.1f} s")
        now = until("its timeline", lambda: self.primary.status().get("timeline"))
        self.counts.holds(f"{claim}: timeline {timeline} became {now}", [] if now == timeline + 1 else ["not the next"])
        self.has_rows(f"{claim}: all rows acknowledged before are there", self.primary, acked)
        return took

    def has_rows(self, claim, node, number):
        (found,) = node.ask(f"SELECT count(*) FROM rows WHERE n BETWEEN 1 AND {number}")[0]
        self.counts.holds(f"{claim}: {found}", [] if found == number else [f"{number} were acknowledged"])

    def primaries_come_and_go(self):
        took = self.moves("primary killed", self.primary.kill)
        limit = 2 * TTL  # its session ends, and the other looks and is promoted
        self.counts.holds(f"the replica was promoted within {limit} s", [] if took < limit else [f"{took:.1f} s"])
        self.replica.start()
        until("the killed node", lambda: self.patroni.follows(self.replica, self.primary) or self.ended(self.replica))
        self.claim("the killed node streams again, and is synchronous")
        self.moves("switchover", lambda: self.primary.switch_over(self.replica))

    def end(self):
        until("the replica", lambda: self.patroni.follows(self.replica, self.primary))
        self.writer.end()
        number = self.writer.acked
        self.has_rows("every row acknowledged is there", self.primary, number)
        until("the replica's rows", lambda: self.replica.ask("SELECT max(n) FROM rows") >= [(number,)])
        self.has_rows("and on the replica", self.replica, number)

    def run(self, rounds):
        self.begin()
        for _ in range(rounds):
            self.members_come_and_go()
        self.primaries_come_and_go()
        self.end()
        self.counts.holds("no member ended but those that were stopped", self.members.ended())


def main(options):
    end_when_told()
    servers.command = options.server_cmd
    counts, began = Counts(), time.monotonic()
    try:
        with Members() as members, Patroni(members.hosts) as patroni:
            Scenario(members, patroni, counts).run(options.rounds)
            if counts.failed:
                patroni.tell_logs()
                members.tell_logs()
    except (Broken, OSError, RuntimeError, subprocess.TimeoutExpired, psycopg.Error) as why:
        counts.claim(f"FAIL {why}")
    print(f"     {time.monotonic() - began:.0f} s")
    print(f"{counts.passed} passed, {counts.failed} failed")
    return 0 if counts.passed and not counts.failed else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--server-cmd", required=True, help="runs one member on the zoo.cfg in place of {config}")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="how often members come and go")
    sys.exit(main(parser.parse_args()))
