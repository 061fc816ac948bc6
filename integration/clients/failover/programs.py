"""The programs of this suite: how each is built and started."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.dirname(HERE)
TARGET = os.path.join(os.path.dirname(os.path.dirname(CLIENTS)), "target", "clients")
OUT = os.path.join(TARGET, "failover")


def kazoo(script="kazoo_clients.py"):
    return [sys.executable, os.path.join(HERE, script)]


def java(main="Main"):
    """Compiles against the jars that the suite java/ has."""
    subprocess.run([os.path.join(CLIENTS, "java", "fetch.sh")], check=True)
    classes, jars = os.path.join(OUT, "java"), os.path.join(TARGET, "java", "lib", "*")
    sources = sorted(entry.path for entry in os.scandir(os.path.join(HERE, "java")) if entry.name.endswith(".java"))
    subprocess.run(["javac", "--release", "17", "-Xlint:all,-classfile", "-d", classes, "-cp", jars, *sources], check=True)
    resources = os.path.join(CLIENTS, "java", "src", "main", "resources")
    path = os.pathsep.join((classes, jars, resources))
    # Curator reports every connection that it loses: LOG_LEVEL=WARN shows it.
    level = os.environ.get("LOG_LEVEL", "OFF")
    options = [f"-DLOG_LEVEL={level}", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    return ["java", *options, "-cp", path, f"paddock.failover.{main}"]


def go(*words):
    """Read-only, with hashes in go.sum: whatever is fetched is what was pinned."""
    folder, binary = os.path.join(HERE, "go"), os.path.join(OUT, "go")
    path = os.path.join(TARGET, "go", "path")
    env = {**os.environ, "GOFLAGS": "-mod=readonly -modcacherw", "GOPATH": path, "GOTOOLCHAIN": "local"}
    command = subprocess.run([os.path.join(CLIENTS, "go", "go.sh")], check=True, stdout=subprocess.PIPE, text=True)
    subprocess.run([command.stdout.strip(), "build", "-o", binary, "."], check=True, cwd=folder, env=env)
    return [binary, *words]


ALL = {"kazoo": kazoo, "java": java, "go": go}
# Those that write without end, as gaps.py has them.
WRITERS = {"kazoo": lambda: kazoo("kazoo_writer.py"), "java": lambda: java("Writer"), "go": lambda: go("write")}
# Those that use recipes in loops, as recipes.py has them.
RECIPES = {"kazoo": lambda: kazoo("kazoo_recipes.py"), "java": lambda: java("Recipes")}
