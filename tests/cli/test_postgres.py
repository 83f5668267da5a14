"""Processes on a PostgreSQL that they share, and what is done beside them."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import psycopg
import pytest
from typer.testing import CliRunner, Result

from covey.cli.commands import app
from covey.cli.exits import Exit
from covey.cli.local.postgres import clocks, standbys

from ..patience import PATIENCE
from ..postgres_server import session_server
from .conftest import clean_environment


@dataclass
class Processes:
    """A database, and Coveys on it, each with a data folder of its own."""

    url: str
    folder: Path
    stack: ExitStack
    said: str = ""
    """What the last one said while it was started."""

    @property
    def environment(self) -> dict[str, str]:
        return {"COVEY_DATABASE": self.url, "COVEY_PROFILE": str(self.folder / "profile.toml")}

    def start(self, *command: str, data: str, until: str) -> subprocess.Popen[str]:
        """Start a Covey, and wait until it has said something."""
        process = subprocess.Popen(
            [sys.executable, "-m", "covey.cli", *command, "--data", str(self.folder / data)],
            env=clean_environment(**self.environment, COVEY_DRAIN_SECONDS="0"),
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )
        self.stack.callback(_end, process)
        assert process.stderr is not None
        self.said = ""
        while until not in self.said:
            line = process.stderr.readline()
            assert line, self.said
            self.said += line
        return process

    def covey(self, *args: str, **environment: str) -> Result:
        """A command in this process."""
        return CliRunner().invoke(app, list(args), env={**self.environment, **environment})

    def execute(self, statement: str) -> None:
        """Change the database behind everybody's back."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    monkeypatch.chdir(tmp_path)
    server = session_server()
    url = server.create_database("cli")
    with ExitStack() as stack:
        yield Processes(url, tmp_path, stack)
    server.drop("cli")


def test_a_server_and_a_worker_share_a_database(processes: Processes) -> None:
    server = processes.start("serve", "--port", "0", data="one", until="listens at")
    worker = processes.start("worker", data="two", until="is at work")
    second = processes.covey("worker", "--data", "two")
    assert second.exit_code == Exit.conflict
    assert f"in use by another Covey (process {worker.pid})" in second.stderr
    assert processes.covey("workers").exit_code == Exit.refused
    admin = processes.covey("keys", "create", "--role", "admin").stdout.strip()
    found = json.loads(processes.covey("workers", "--json", COVEY_ADMIN_KEY=admin).stdout)
    assert [(each["state"], each["active"]) for each in found] == [("alive", 0)] * 2
    assert {each["process"] for each in found} == {server.pid, worker.pid}
    shown = processes.covey("workers", COVEY_ADMIN_KEY=admin).stdout
    assert "alive" in shown
    assert str(worker.pid) in shown
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0
    left = json.loads(processes.covey("workers", "--json", COVEY_ADMIN_KEY=admin).stdout)
    assert [each["process"] for each in left] == [server.pid]
    every = json.loads(processes.covey("workers", "--all", "--json", COVEY_ADMIN_KEY=admin).stdout)
    assert [each["state"] for each in every] == ["alive", "ended"]


@pytest.mark.parametrize(("command", "until"), [(("serve", "--port", "0"), "listens at"), (("worker",), "is at work")])
def test_who_was_given_up_ends_so_that_it_is_started_again(
    processes: Processes, command: tuple[str, ...], until: str
) -> None:
    process = processes.start(*command, data="one", until=until)
    processes.execute("UPDATE workers SET dead_at = beat_at")
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == Exit.failed
    assert "The other processes gave this one up" in said.splitlines()[-1]


def test_a_worker_answers_how_it_is_and_nothing_else(processes: Processes) -> None:
    worker = processes.start("worker", "--port", "0", data="one", until="is at work")
    address = re.search(r"How it is: (\S+)/readyz\.", processes.said)
    assert address is not None, processes.said
    with httpx.Client(base_url=address[1]) as client:
        while client.get("/readyz").status_code == 503:  # On a busy machine its start may have been a long standstill.
            assert worker.poll() is None
        assert [client.get(path).status_code for path in ("/livez", "/metrics")] == [200, 200]
        assert "covey_ready 1.0" in client.get("/metrics").text
        assert [client.get(path).status_code for path in ("/v1/api/batch-calls", "/docs")] == [401, 404]
        processes.execute("UPDATE workers SET dead_at = beat_at")
        assert worker.wait(PATIENCE) == Exit.failed
    taken = processes.start("serve", "--port", "0", data="two", until="listens at")
    port = re.search(r"listens at http://127\.0\.0\.1:(\d+)", processes.said)
    assert port is not None
    second = processes.covey("worker", "--port", port[1], "--data", "three")
    assert second.exit_code == Exit.usage
    assert f"host and worker_port: 127.0.0.1:{port[1]} cannot be listened on" in second.stderr
    taken.terminate()


def test_a_worker_needs_a_database_that_can_be_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["worker"])
    assert result.exit_code == Exit.usage
    assert "on SQLite one process does everything: covey serve" in result.stderr


def test_migrate_says_what_it_does(processes: Processes) -> None:
    before = processes.covey("migrate", "--check", "--json")
    assert before.exit_code == Exit.failed
    assert json.loads(before.stdout)["pending"][0] == "0001 initial (pre)"
    done = processes.covey("migrate")
    assert done.exit_code == 0
    assert "Applied: 0001 initial (pre)" in done.stderr
    after = processes.covey("migrate", "--check", "--post")
    assert after.exit_code == 0
    assert "up to date" in after.stderr
    processes.execute("INSERT INTO covey_schema (number, name, stage) VALUES (999, 'gone', 'post')")
    newer = processes.covey("migrate")
    assert newer.exit_code == Exit.conflict
    assert "0999 gone" in newer.stderr


def test_migrate_on_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def migrate(*options: str) -> Result:
        return CliRunner().invoke(app, ["migrate", *options])

    assert migrate("--check").exit_code == Exit.failed
    assert "Applied: 0001 initial (pre)" in migrate().stderr
    assert migrate("--check").exit_code == 0


def test_copies_are_made_by_the_databases_own_tools(processes: Processes) -> None:
    made = processes.covey("backup", "copy.db")
    assert made.exit_code == Exit.conflict
    assert "pg_dump" in made.stderr
    (processes.folder / "copy.db").write_bytes(b"")
    back = processes.covey("restore", "copy.db", "--yes")
    assert back.exit_code == Exit.conflict
    assert "pg_restore" in back.stderr


def test_doctor_looks_at_the_database(processes: Processes) -> None:
    def findings() -> dict[str, dict[str, object]]:
        result = processes.covey("doctor", "--json", COVEY_PORT="0")
        assert result.exit_code == 0, result.stdout
        return {finding["check"]: finding for finding in json.loads(result.stdout)}

    before = findings()
    assert str(before["database"]["seen"]).startswith("PostgreSQL 1")
    assert before["schema"]["seen"] == "none yet, made at the first start"
    assert processes.covey("migrate").exit_code == 0
    after = findings()
    assert after["schema"]["seen"] == "up to date (0001)"
    assert (after["lock session"]["ok"], after["clocks"]["warning"], after["standbys"]["warning"]) == (True,) + (
        False,
    ) * 2
    assert after["recordings"]["warning"]
    shown = processes.covey("doctor", COVEY_PORT="0", NO_COLOR="1").stdout
    assert "! recordings" in shown
    assert "name a bucket" in shown


def test_doctor_finds_no_database(processes: Processes) -> None:
    nowhere = "postgresql://me:hush@127.0.0.1:1/covey"
    result = processes.covey("doctor", COVEY_DATABASE=nowhere)
    assert result.exit_code == Exit.failed
    assert "✗ database" in result.stdout
    assert "postgresql://me:********@127.0.0.1:1/covey" in result.stdout
    assert "hush" not in result.stdout + result.stderr
    for command in ("serve", "worker", "migrate", "keys list"):
        refused = processes.covey(*command.split(), COVEY_DATABASE=nowhere)
        assert refused.exit_code in (Exit.conflict, Exit.failed), command
        assert "the database cannot be used" in refused.stderr
        assert "hush" not in refused.stderr


def test_without_the_driver_its_extra_is_named(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg_pool", None)
    for command in ("serve", "worker", "migrate", "keys list"):
        result = processes.covey(*command.split())
        assert result.exit_code == Exit.usage, command
        assert "install covey[postgres]" in result.stderr
    assert "install covey[postgres]" in processes.covey("doctor").stdout


@pytest.mark.parametrize(
    ("attached", "waited_for", "named", "warning"),
    [(0, 0, "", False), (1, 0, "", True), (2, 1, "ANY 1 (*)", False), (1, 0, "ANY 1 (*)", False)],
)
def test_a_failover_that_would_lose_something_is_told(
    attached: int, waited_for: int, named: str, warning: bool
) -> None:
    found = standbys(attached, waited_for, named)
    assert (found.ok, found.warning) == (True, warning)
    assert ("asynchronous" in found.seen) is warning


@pytest.mark.parametrize(
    ("ahead", "seen", "warning"), [(0.9, "agree", False), (-2.0, "2.0 s behind", True), (2.0, "2.0 s ahead of", True)]
)
def test_clocks_that_differ_are_told(ahead: float, seen: str, warning: bool) -> None:
    found = clocks(ahead)
    assert seen in found.seen
    assert found.warning is warning
