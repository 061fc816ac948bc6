"""One node: Patroni, and the PostgreSQL that it runs."""

import glob
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import psutil
import psycopg
from members import LIMIT, servers, until

SCOPE = "paddock"
# The shortest that Patroni takes; a loop and two waits for ZooKeeper must fit in.
TTL, LOOP, RETRY = 20, 2, 9
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the loopback is behind no proxy


def commands():
    """Where Debian has PostgreSQL's."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    if not found:
        raise OSError("no PostgreSQL below /usr/lib/postgresql: install Debian's")
    return os.path.dirname(max(found, key=lambda path: int(path.split("/")[4])))


def unprivileged():
    """PostgreSQL refuses to be root. It may still read all, as our Python may be where only root looks."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups",
            "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


class Node:
    """A process on a folder and ports that outlive its restarts."""

    def __init__(self, number, hosts):
        self.name = f"node{number}"
        self.port, self.rest = servers.free_port(), servers.free_port()
        self.folder = tempfile.mkdtemp(prefix="patroni-node-")
        self.log = os.path.join(self.folder, "log")
        self.process = None
        with open(os.path.join(self.folder, "patroni.yml"), "w") as file:
            json.dump(self._settings(hosts), file)  # which is YAML
        if os.geteuid() == 0:
            postgres = pwd.getpwnam("postgres")
            os.chown(self.folder, postgres.pw_uid, postgres.pw_gid)

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    def _settings(self, hosts):
        at = f"127.0.0.1:{self.port}"
        trusted = [f"{kind} all 127.0.0.1/32 trust" for kind in ("host all", "host replication")]
        return {
            "scope": SCOPE,
            "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.rest}", "connect_address": f"127.0.0.1:{self.rest}"},
            "zookeeper": {"hosts": hosts.split(",")},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL,
                    "loop_wait": LOOP,
                    "retry_timeout": RETRY,
                    "synchronous_mode": True,
                    "postgresql": {"use_pg_rewind": True, "parameters": {"shared_buffers": "16MB"}},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}],
            },
            "postgresql": {
                "listen": at,
                "connect_address": at,
                "data_dir": self.data,
                "bin_dir": commands(),
                "pgpass": os.path.join(self.folder, "pgpass"),
                "pg_hba": trusted,
                "authentication": {role: {"username": role} for role in ("superuser", "replication", "rewind")},
                "parameters": {"unix_socket_directories": self.folder},
            },
        }

    def start(self):
        command = [*unprivileged(), sys.executable, "-m", "patroni", os.path.join(self.folder, "patroni.yml")]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)

    def _server(self):
        """PostgreSQL's processes: Patroni is not their parent."""
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as file:
                parent = psutil.Process(int(file.readline()))
            return [parent, *parent.children(recursive=True)] if self._is_server(parent) else []
        except (OSError, psutil.NoSuchProcess):
            return []

    def _is_server(self, process):
        return process.name() == "postgres" and self.data in process.cmdline()

    def kill(self):
        """Patroni and PostgreSQL at once: the machine is gone."""
        processes = self._server()
        self.process.kill()
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass  # it went with its parent
        self.process.wait(LIMIT)
        until("PostgreSQL's end", lambda: not any(self._lives(process) for process in processes))

    @staticmethod
    def _lives(process):
        try:
            return process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def destroy(self):
        """Cleanly, as PostgreSQL leaves shared memory behind if it is killed; or else by force."""
        try:
            if self.process:
                try:
                    self.process.send_signal(signal.SIGTERM)
                    self.process.wait(LIMIT)
                finally:
                    self.kill()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def status(self):
        """What Patroni says of itself; nothing if it says nothing."""
        try:
            with DIRECT.open(f"http://127.0.0.1:{self.rest}/patroni", timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:  # 503 tells as much, where PostgreSQL does not run
            return json.load(error)
        except OSError:
            return {}

    def switch_over(self, other):
        """Asks for it, and returns once Patroni has done it."""
        body = json.dumps({"leader": self.name, "candidate": other.name}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest}/switchover", data=body, method="POST")
        with DIRECT.open(request, timeout=LIMIT) as answer:
            return answer.read().decode()

    def ask(self, query):
        """The rows that PostgreSQL answers here."""
        at = f"host=127.0.0.1 port={self.port} dbname=postgres user=superuser connect_timeout=5"
        with psycopg.connect(at, autocommit=True) as connection:
            found = connection.execute(query)
            return found.fetchall() if found.description else []
