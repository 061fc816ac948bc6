"""A pytest plugin: points kazoo's harness at our servers and holds the outcome to expected.toml.

A test listed under `fails` must fail, with the listed words (it is pytest's strict xfail), one under
`skips` must skip; any other must pass. A name in the list that no test has is an error, so the list cannot rot.
"""

import os
import sys
import tomllib

import pytest

import servers

# Before anything of kazoo.testing is imported: its own module wants Java, TLS tools and fixed ports.
sys.modules["kazoo.testing.common"] = servers

LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected.toml")


def pytest_addoption(parser):
    group = parser.getgroup("server under test")
    group.addoption("--server", help="HOST:PORT of a server that is already up")
    group.addoption("--server-cmd", help="command that runs a server; see run.py")
    group.addoption("--without", action="append", default=[], help="a feature the server lacks, as in expected.toml")


def pytest_configure(config):
    servers.address = config.getoption("--server")
    servers.command = config.getoption("--server-cmd")
    if bool(servers.address) == bool(servers.command):
        raise pytest.UsageError("give either HOST:PORT or --server-cmd")
    config.pluginmanager.register(Verdict(config), "verdict")


def name_of(nodeid):
    """`test_lock.py::Class::test`, wherever kazoo is installed."""
    return nodeid[nodeid.rindex("test_", 0, nodeid.index(".py")) :]


class Verdict:
    """Counts what happened and decides whether that was as listed."""

    def __init__(self, config):
        with open(LIST, "rb") as f:
            listed = tomllib.load(f)
        missing = {None, *config.getoption("--without")}
        if servers.address:  # whoever started it did not configure it for these
            missing |= {"ensemble", "sasl"}
        elif os.environ["ZOOKEEPER_CLUSTER_SIZE"] == "1":
            missing.add("ensemble")
        self.fails = {e["test"]: e for e in listed["fails"] if e.get("without") in missing}
        self.hangs = {e["test"]: e for e in listed["hangs"] if e.get("without") in missing}
        self.skips = {e["test"]: e for e in listed["skips"] if e.get("without") in missing} | self.hangs
        self.whole = not config.getoption("-k")
        self.outcomes = {}  # name → "passed", "failed", "skipped" or "listed"
        self.complaints = []

    def pytest_collection_modifyitems(self, items):
        names = {name_of(item.nodeid) for item in items}
        for name in [*self.fails, *self.skips] if self.whole else []:
            if name not in names:
                self.complaints.append(f"{name}: listed, but there is no such test")
        for item in items:
            entry = self.fails.get(name_of(item.nodeid))
            if entry:
                item.add_marker(pytest.mark.xfail(strict=True, reason=entry["reason"]))
            elif entry := self.hangs.get(name_of(item.nodeid)):
                item.add_marker(pytest.mark.skip(reason=entry["reason"]))

    def pytest_runtest_logreport(self, report):
        name = name_of(report.nodeid)
        if report.failed:
            self.outcomes[name] = "failed"
        elif report.skipped and name not in self.outcomes:
            self.outcomes[name] = "listed" if hasattr(report, "wasxfail") else "skipped"
            if self.outcomes[name] == "skipped":
                self._judge_skip(name, report.longrepr[2])
            elif not any(words in str(report.longrepr) for words in self.fails[name]["says"]):
                self.complaints.append(f"{name}: fails, but not as listed:\n{report.longrepr}")
        elif report.when == "call":
            self.outcomes.setdefault(name, "passed")

    def _judge_skip(self, name, why):
        if name not in self.skips and servers.NEEDS_COMMAND not in why:
            self.complaints.append(f"{name}: skipped, but not listed ({why})")

    def pytest_sessionfinish(self, session):
        for name in self.skips:
            if self.outcomes.get(name, "skipped") != "skipped":
                self.complaints.append(f"{name}: listed as skipped, but {self.outcomes[name]}")
        if self.complaints and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        count = list(self.outcomes.values()).count
        for complaint in self.complaints:
            terminalreporter.write_line(complaint, red=True)
        terminalreporter.write_line(
            f"{count('passed')} passed, {count('failed') + len(self.complaints)} failed, "
            f"{count('skipped') + count('listed')} skipped ({count('listed')} of them listed as failing)"
        )
