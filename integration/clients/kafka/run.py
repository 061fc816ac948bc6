"""Two Kafka brokers in ZooKeeper mode, with their defaults, on three members.

Records are produced and consumed all the time, while the members are restarted one by one, their leader is killed, then all
three at once; then the broker that is the controller is killed and comes back, is frozen and comes back, and an operator
has the controller move. What a broker keeps in ZooKeeper is read with kazoo. Prints a line for each claim; ends with
"N passed, N failed".
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.dirname(HERE)
OUT = os.path.join(os.path.dirname(os.path.dirname(CLIENTS)), "target", "clients", "kafka")
sys.path.insert(0, os.path.join(CLIENTS, "failover"))

from members import LIMIT, Broken, Counts, Members, Program, Users, end_when_told, servers, until  # noqa: E402
from kazoo.exceptions import NoNodeError  # noqa: E402
from kazoo_worker import connect  # noqa: E402  (found by the line above)

JAVA = ("java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
PATH = os.pathsep.join(
    [os.path.join(HERE, "src", "main", "resources"), *(os.path.join(OUT, part) for part in ("build/classes", "lib/*"))]
)
TOPIC = "numbers"  # Records.TOPIC
EXPIRED = re.compile(r"session.* expired|session expired", re.IGNORECASE)


class Broker:
    """A process on a folder and a port that both outlive its restarts."""

    def __init__(self, number, hosts):
        self.number, self.name = number, f"broker {number}"
        self.port = servers.free_port()
        self.folder = tempfile.mkdtemp(prefix="kafka-broker-")
        self.log = os.path.join(self.folder, "log")
        self.process = None
        self.settings = {
            "broker.id": number,
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "zookeeper.connect": f"{hosts}/kafka",
            "log.dirs": os.path.join(self.folder, "data"),
            "auto.create.topics.enable": "false",
            # As many replicas as there are brokers; few partitions, as the machine is small.
            "offsets.topic.replication.factor": 2,
            "offsets.topic.num.partitions": 3,
            "group.initial.rebalance.delay.ms": 0,
        }

    def start(self):
        config = os.path.join(self.folder, "server.properties")
        with open(config, "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in self.settings.items())
        command = [*JAVA, "-cp", PATH, "kafka.Kafka", config]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(LIMIT)

    def destroy(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Kafka(Users):
    """What two brokers keep in ZooKeeper."""

    def __init__(self, hosts):
        super().__init__(connect(hosts), [Broker(number, hosts) for number in (1, 2)])

    @property
    def brokers(self):
        return self.processes

    def get(self, path):
        """Data and stat of a znode; nothing if it is not there."""
        try:
            return self.client.retry(self.client.get, f"/kafka{path}")
        except NoNodeError:
            return None

    def session(self, number):
        """What tells one registration of a broker from the next."""
        found = self.get(f"/brokers/ids/{number}")
        return found and (found[1].czxid, found[1].ephemeralOwner)

    def register(self, *brokers):
        for broker in brokers:
            until(f"broker {broker.number} registers", lambda b=broker: self.session(b.number) or self.ended(b))

    @staticmethod
    def ended(broker):
        if broker.process.poll() is not None:
            raise Broken(f"broker {broker.number} ended with {broker.process.returncode}")

    def controller(self):
        """Who it is, and in which epoch; nothing where there is none."""
        epoch, found = self.get("/controller_epoch"), self.get("/controller")  # so the epoch is never newer
        return found and epoch and (json.loads(found[0])["brokerid"], int(epoch[0]))

    def partitions(self):
        """Leader and in-sync replicas of each partition of our topic."""
        folder = f"/kafka/brokers/topics/{TOPIC}/partitions"
        for number in self.client.retry(self.client.get_children, folder):
            state = json.loads(self.get(f"/brokers/topics/{TOPIC}/partitions/{number}/state")[0])
            yield state["leader"], state["isr"]

    def standing(self):
        """All that must stay as it is while it is the members that come and go."""
        return {"controller": self.controller(), **{f"broker {b.number}": self.session(b.number) for b in self.brokers}}

    def expiries(self):
        return self.said(EXPIRED)


class Scenario:
    def __init__(self, members, kafka, program, counts):
        self.members = members
        self.kafka = kafka
        self.program = program
        self.counts = counts

    def look(self, name):
        self.program.tell(f"look {name}")
        self.program.until("again")

    def stood(self, claim, before):
        now = self.kafka.standing()
        faults = [f"{key}: {before[key]} became {now[key]}" for key in before if now[key] != before[key]]
        faults += self.kafka.expiries()
        self.counts.holds(f"{claim}: both brokers keep their sessions, the controller stays", faults)

    def members_come_and_go(self, turn):
        before = self.kafka.standing()
        for member in self.members.roll():
            self.look(f"restarted-{member.server_id}-{turn}")
        self.stood("rolling restart", before)
        leader = self.members.leader()
        leader.kill()
        self.look(f"leader-killed-{turn}")
        self.stood("leader killed", before)
        self.members.back(leader)
        self.look(f"leader-back-{turn}")
        self.stood("leader back", before)
        self.members.all_at_once()
        self.look(f"all-killed-{turn}")
        self.stood("all members killed at once, and back", before)

    def moves(self, claim, act, expected):
        """The controller's epoch rises by `act`, and the controller is one of `expected`."""
        _, epoch = self.kafka.controller()
        began = time.monotonic()
        act()

        def moved():
            found = self.kafka.controller()
            return found and found[1] > epoch and found

        number, now = until(f"{claim}: another controller", moved)
        took = time.monotonic() - began
        faults = [] if number in expected else [f"broker {number} is the controller"]
        self.counts.holds(f"{claim}: broker {number} is the controller, epoch {epoch} became {now}, {took:.1f} s", faults)

    def controller_goes(self, claim, act):
        """By `act`, which ends with its session: the other is the controller, and leads all. Returns the one that went."""
        number, _ = self.kafka.controller()
        lost, other = sorted(self.kafka.brokers, key=lambda broker: broker.number != number)
        self.moves(claim, lambda: act(lost), [other.number])
        until("leaders move", lambda: all(leader == other.number for leader, _ in self.kafka.partitions()))
        self.counts.holds(f"{claim}: broker {other.number} leads every partition")
        return lost

    def in_sync(self, claim):
        both = {broker.number for broker in self.kafka.brokers}
        until("replicas in sync", lambda: all(set(isr) == both for _, isr in self.kafka.partitions()))
        self.counts.holds(claim)

    def controllers_come_and_go(self):
        lost = self.controller_goes("controller killed", lambda broker: broker.end(signal.SIGKILL))
        self.look("controller-killed")
        lost.start()
        self.kafka.register(lost)
        self.in_sync("the killed broker registers again, and its replicas are in sync")
        self.look("broker-back")
        # One that is frozen hears only later, from whichever member it turns to, that its session is over. Meanwhile
        # nothing is asked of Kafka, whose clients wait for half a minute for a broker that is connected and says nothing.
        lost = self.controller_goes("controller frozen", lambda broker: broker.process.send_signal(signal.SIGSTOP))
        lost.process.send_signal(signal.SIGCONT)
        until("it hears that its session expired", self.kafka.expiries)
        self.kafka.register(lost)
        self.in_sync("the frozen broker hears that its session expired, registers again, and its replicas are in sync")
        self.look("broker-thawed")
        # How an operator has it move.
        numbers = [broker.number for broker in self.kafka.brokers]
        self.moves("controller told to go", lambda: self.kafka.client.delete("/kafka/controller"), numbers)
        self.look("controller-moved")

    def run(self, rounds):
        for turn in range(1, rounds + 1):
            self.members_come_and_go(turn)
        self.controllers_come_and_go()
        self.program.tell("end")
        self.program.until(None)


def scenario(members, kafka, rounds, counts):
    kafka.client.create("/kafka")
    for broker in kafka.brokers:
        broker.start()
    kafka.register(*kafka.brokers)
    until("a controller", kafka.controller)
    counts.holds("two brokers register, one of them is the controller")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    addresses = ",".join(f"127.0.0.1:{broker.port}" for broker in kafka.brokers)
    # Its clients warn of each connection that they lose: LOG_LEVEL=WARN shows it.
    level = f"-Dlog.level={os.environ.get('LOG_LEVEL', 'OFF')}"
    with subprocess.Popen([*JAVA, level, "-cp", PATH, "paddock.kafka.Main", addresses], **pipes) as process:
        try:
            program = Program(process, counts)
            program.until("ready")
            Scenario(members, kafka, program, counts).run(rounds)
            if (code := process.wait(timeout=LIMIT)) != 0:
                raise Broken(f"the program ended with {code}")
        finally:
            process.kill()
    counts.holds("no member ended but those that were stopped", members.ended())


def main(options):
    end_when_told()
    servers.command = options.server_cmd
    counts, began = Counts(), time.monotonic()
    try:
        with Members() as members, Kafka(members.hosts) as kafka:
            scenario(members, kafka, options.rounds, counts)
            if counts.failed:
                kafka.tell_logs()
                members.tell_logs()
    except (Broken, OSError, RuntimeError, subprocess.TimeoutExpired) as why:
        counts.claim(f"FAIL {why}")
    print(f"     {time.monotonic() - began:.0f} s")
    print(f"{counts.passed} passed, {counts.failed} failed")
    return 0 if counts.passed and not counts.failed else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--server-cmd", required=True, help="runs one member on the zoo.cfg in place of {config}")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="how often members come and go")
    sys.exit(main(parser.parse_args()))
