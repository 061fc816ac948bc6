"""zkCli.sh on two kinds of servers: what it prints must be the same."""

import os
import re
import tempfile

import cli
import members
import servers

ALONE = ("4lw.commands.whitelist=*", "extendedTypesEnabled=true", "enforceQuota=true")
MEMBERS = ("4lw.commands.whitelist=*", "reconfigEnabled=true", "initLimit=10", "syncLimit=5")
ROLES = ("leader", "follower", "other", "spare")
LINE = re.compile(r"\bline:(\w+)(:observer)?")
AT = re.compile(r"\bat:(\w+)")
REMOVE = re.compile(r"(?<=-remove )\S+")
WAIT = re.compile(r"wait until (\w+) is an? (\w+)$")
CONNECT = re.compile(r"^(#\d+ )(SERVER-\S+)$")
VERSION = re.compile(r"version=([0-9a-f]+)$")


def script(name):
    with open(os.path.join(cli.HERE, name), encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if not line.startswith("#")]


def alone(command):
    """What zkCli.sh answers to each command on a server of `command`, and what its watches print."""
    servers.command = command
    server = servers.Process(1, ALONE, [], None)
    try:
        server.run()
        with cli.Cli(server.address, {server.address: "SERVER"}) as client:
            return [(line, client.tell(line)) for line in script("commands.txt")], client.events
    finally:
        server.destroy()


class Four:
    """Three members of `command`, and a server that is to be the fourth."""

    def __init__(self, command, folder):
        servers.command = command
        self.folder = folder
        self.servers = [servers.Process(i, MEMBERS, [], None) for i in (1, 2, 3, 4)]
        self.peers = {s: f"127.0.0.1:{servers.free_port()}:{servers.free_port()}" for s in self.servers}
        for server in self.servers:
            server.entries += self.lines(self.servers if server.server_id == 4 else self.servers[:3])
        self.roles = {}

    def line(self, server, role="participant"):
        return f"server.{server.server_id}={self.peers[server]}:{role};{server.address}"

    def lines(self, of):
        return [self.line(server) for server in of]

    def start(self):
        *three, spare = self.servers
        for server in three:
            server.launch()
        for server in three:
            server.await_serving()
        leader = next(s for s in three if "Mode: leader" in s.say("srvr"))
        self.roles = dict(zip(ROLES, (leader, *(s for s in three if s is not leader), spare)))
        spare.launch()  # it serves once it is a member
        for name, of in (("three", three), ("four", self.servers)):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in self.lines(of))

    def wait(self, role, mode, behind):
        """Until that one says that it is in sync as a follower or observer, `behind` that answer."""
        said = f"behind {behind}, {role} a {mode}"
        members.until(said, lambda: f"Mode: {mode}" in self.roles[role].say("srvr"))

    def names(self):
        """What stands for what each ensemble chooses for itself."""
        named = {}
        for role, server in self.roles.items():
            named |= {f"server.{server.server_id}=": f"server.{role}=", self.peers[server]: f"PEER-{role}",
                      server.address: f"SERVER-{role}"}
        return named | {f"{self.folder}/": ""}

    def talk(self, client):
        """Each command of the script, and its answer."""
        version, answer = None, []
        for line in script("reconfig.txt"):
            if match := WAIT.match(line):
                self.wait(*match.groups(), answer)
                continue
            answer = client.raw(self.meant(line, version))
            if answer and (match := VERSION.match(answer[-1])):
                version = match[1]
            yield line, in_order([client.masked(it) for it in answer])

    def meant(self, line, version):
        """A command of the script, for this ensemble."""
        line = LINE.sub(lambda it: self.line(self.roles[it[1]], "observer" if it[2] else "participant"), line)
        line = AT.sub(lambda it: self.roles[it[1]].address, line)
        line = REMOVE.sub(lambda it: ",".join(map(self.id_of, it[0].split(","))), line)
        return line.replace("file:", f"{self.folder}/").replace("-v version", f"-v {version}")

    def id_of(self, name):
        return str(self.roles[name].server_id) if name in self.roles else name

    def destroy(self):
        for server in self.servers:
            server.destroy()


def in_order(answer):
    """Members stand in the order of their ids, which are the ensemble's own choice."""
    lines = sorted(line for line in answer if line.startswith("server."))
    answer = [lines.pop(0) if line.startswith("server.") else line for line in answer]
    return [CONNECT.sub(lambda it: it[1] + ",".join(sorted(it[2].split(","))), line) for line in answer]


def reconfigured(command):
    """The same on three members, with the script that changes who they are."""
    with tempfile.TemporaryDirectory(prefix="zkcli-") as folder:
        four = Four(command, folder)
        try:
            four.start()
            with cli.Cli(four.roles["follower"].address, four.names()) as client:
                return list(four.talk(client)), client.events
        finally:
            four.destroy()


def judged(talk, must, command, counts):
    """Claims that each command of a script is answered as by Apache's server, some by `must`; and what watches print."""
    (ours, our_events), (apaches, their_events) = talk(command), talk(cli.APACHES)
    events = "what the watches print"
    for (line, theirs), (_, our) in zip([*apaches, (events, their_events)], [*ours, (events, our_events)], strict=True):
        if os.environ.get("SHOW"):
            print(f"> {line}", *theirs, sep="\n")
        counts.holds(line, [] if theirs == our else ["on Apache's:", *theirs, "on ours:", *our])
    counts.holds("watches print something", [] if our_events else ["nothing"])
    counts.holds(f"it answers {must!r}", [] if any(answer[:1] == [must] for _, answer in ours) else ["never"])
