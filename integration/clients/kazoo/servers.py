"""Stands in for `kazoo.testing.common`: the same names, but the servers are whatever we point it at.

kazoo's harness builds a `ZookeeperCluster` and calls run, stop, reset and destroy on its members.
Here a member is either a process started by a command (`Process`), or a server somebody else runs
(`Foreign`), which cannot be restarted: tests that ask for it are skipped, saying so.
"""

import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

NEEDS_COMMAND = "needs --server-cmd: this test restarts the server"
# Seconds. Generous: a limit that is met in a sound run on a loaded machine is a false alarm.
START_LIMIT = 60
STOP_LIMIT = 60
# A Java server ends with 128 + 15 after SIGTERM; both 0 and a plain death by the signal are clean too.
CLEAN_EXITS = (0, 128 + signal.SIGTERM, -signal.SIGTERM)

# Set by the plugin before the first test.
command = None  # the template given as --server-cmd
address = None  # "host:port" of a server that is already up


given = set()  # ports that were asked for here


def ports_for_servers():
    """Where no connection has its near end: such a port may be gone when a server that was killed starts again."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            end = int(file.read().split()[0])
    except OSError:
        end = 32768
    return range(10000, max(end, 10001))


def free_port():
    """A port of the loopback that nobody uses, asked for for the first time."""
    for port in random.sample(ports_for_servers(), k=1000):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in given:
            given.add(port)
            return port
    raise OSError("a thousand ports of the loopback are all in use")


class Foreign:
    """A server somebody else started, and goes on running."""

    running = True

    def __init__(self):
        self.address = self.secure_address = address
        self.host, port = address.rsplit(":", 1)
        self.client_port = self.secure_client_port = int(port)

    def launch(self):
        pass

    run = destroy = await_serving = launch

    def stop(self):
        import pytest  # which only kazoo's suite has

        pytest.skip(NEEDS_COMMAND)

    kill = reset = stop

    def get_logs(self, num_lines=100):
        return []


class Process:
    """A server of ours: a process on a folder and a port that both outlive its restarts."""

    host = "127.0.0.1"

    def __init__(self, server_id, entries, server_lines, jaas_config):
        self.server_id = server_id
        self.jaas_config = jaas_config
        self.working_path = tempfile.mkdtemp(prefix="kazoo-server-")
        self.data = os.path.join(self.working_path, "data")
        self.client_port = free_port()
        self.secure_client_port = free_port()  # nobody listens: what needs TLS fails
        self.entries = [*entries, *server_lines]
        self.process = None

    @property
    def address(self):
        return f"{self.host}:{self.client_port}"

    @property
    def secure_address(self):
        return f"{self.host}:{self.secure_client_port}"

    @property
    def running(self):
        return self.process is not None

    def run(self):
        if not self.running:
            self.launch()
            self.await_serving()

    def launch(self):
        """Starts the process on its data, or on none yet; does not wait for it."""
        os.makedirs(self.data, exist_ok=True)
        with open(os.path.join(self.data, "myid"), "w") as f:
            f.write(f"{self.server_id}\n")
        config = os.path.join(self.working_path, "zoo.cfg")
        with open(config, "w") as f:
            f.write(
                f"tickTime=2000\ndataDir={self.data}\n"
                f"clientPort={self.client_port}\nclientPortAddress={self.host}\n"
                "maxClientCnxns=0\nadmin.enableServer=false\nreadonlymode.enabled=true\n"
                # The password "test", which the tests of set_acls and reconfig use.
                "DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n"
            )
            f.writelines(f"{line}\n" for line in self.entries)
            if self.jaas_config:
                f.write("authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n")
        places = {"config": config, "dir": self.data, "port": self.client_port}
        with open(os.path.join(self.working_path, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [part.format(**places) for part in shlex.split(command)],
                env={**os.environ, "SERVER_JVMFLAGS": " ".join(self._java_properties())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _java_properties(self):
        """What Apache's server takes from nowhere but its command line."""
        yield "-Dreadonlymode.enabled=true"
        for entry in self.entries:
            if entry.startswith("znode.container."):
                yield f"-D{entry}"
        if self.jaas_config:
            path = os.path.join(self.working_path, "jaas.conf")
            with open(path, "w") as f:
                f.write(self.jaas_config)
            yield f"-Djava.security.auth.login.config={path}"

    def await_serving(self):
        """Returns once the server answers `srvr` as one that serves; fails if it ends or takes too long."""
        deadline = time.monotonic() + START_LIMIT
        while not self._serves():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.address} did not serve within {START_LIMIT} s\n{self._tail()}")
            try:  # the pause between two looks is spent waiting for what would end them
                code = self.process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError(f"the server ended with {code} before it served\n{self._tail()}")

    def _serves(self):
        return "Zookeeper version" in self.say("srvr")

    def say(self, word):
        """What the server answers to a four-letter word; nothing if it does not."""
        try:
            with socket.create_connection((self.host, self.client_port), timeout=5) as s:
                s.sendall(word.encode())
                return b"".join(iter(lambda: s.recv(4096), b"")).decode()
        except OSError:
            return ""

    def stop(self):
        self._end(signal.SIGTERM, CLEAN_EXITS)

    def kill(self):
        self._end(signal.SIGKILL, (-signal.SIGKILL,))

    def _end(self, how, clean):
        if not self.running:
            return
        process, self.process = self.process, None
        process.send_signal(how)
        try:
            code = process.wait(timeout=STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"the server did not end within {STOP_LIMIT} s of {how.name}") from None
        if code not in clean:
            raise RuntimeError(f"the server ended with {code} after {how.name}\n{self._tail()}")

    def reset(self):
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def destroy(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.working_path, ignore_errors=True)

    def get_logs(self, num_lines=100):
        try:
            with open(os.path.join(self.working_path, "log"), errors="replace") as f:
                return f.readlines()[-num_lines:]
        except FileNotFoundError:
            return []

    def _tail(self):
        return "".join(self.get_logs(30))


class ZookeeperCluster:
    """What kazoo.testing.harness builds: the parameters are its own, most of them about Java."""

    def __init__(self, size=1, observer_start_id=-1, configuration_entries=(), jaas_config=None, **_about_java):
        if address:
            self._servers = [Foreign()]
            return
        lines = []
        if size > 1:
            lines = ["initLimit=10", "syncLimit=5"]
            for server_id in range(1, size + 1):
                observes = observer_start_id != -1 and server_id >= observer_start_id
                role = "observer" if observes else "participant"
                lines.append(f"server.{server_id}=127.0.0.1:{free_port()}:{free_port()}:{role}")
        self._servers = [Process(i + 1, configuration_entries, lines, jaas_config) for i in range(size)]

    def __getitem__(self, k):
        return self._servers[k]

    def __iter__(self):
        return iter(self._servers)

    def start(self):
        started = [s for s in self._servers if not s.running]
        for server in started:
            server.launch()
        for server in started:
            server.await_serving()

    def stop(self):
        for server in self._servers:
            server.stop()

    def terminate(self):
        for server in self._servers:
            server.destroy()

    def reset(self):
        for server in self._servers:
            server.reset()

    def get_logs(self):
        return [line for server in self._servers for line in server.get_logs()]

    def get_ssl_client_configuration(self):
        raise NotImplementedError("these servers have no TLS port")
