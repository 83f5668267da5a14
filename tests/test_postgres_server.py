"""The PostgreSQL of the tests: what it promises to those who kill it."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from .postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
ONE_THAT_WAITS = """
from tests.postgres_server import PostgresServer
server = PostgresServer().start()
print(server.pid, server._guardian.pid, server.folder, flush=True)
input()
"""


@pytest.fixture
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(durable=True).start()
    yield server
    server.close()


def test_a_durable_server_keeps_what_was_committed_through_a_kill(durable: PostgresServer) -> None:
    url = durable.create_database("kept")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    uncommitted = psycopg.connect(durable.tcp_url("kept"))
    uncommitted.execute("INSERT INTO kept VALUES (2)")
    durable.kill9()
    with pytest.raises(psycopg.OperationalError):
        uncommitted.execute("SELECT 1")
    uncommitted.close()
    durable.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchall() == [(1,)]
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_a_copy_begins_as_its_template_and_goes_its_own_way(durable: PostgresServer) -> None:
    with psycopg.connect(durable.create_database("template")) as connection:
        connection.execute("CREATE TABLE rows AS SELECT 1 AS one")
    for name in ("first", "second"):
        with psycopg.connect(durable.create_database(name, "template")) as connection:
            assert connection.execute("DELETE FROM rows").rowcount == 1
        durable.drop(name)
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(durable.url(name))


def test_over_tcp_nobody_comes_in_without_the_password(durable: PostgresServer) -> None:
    durable.create_database("any")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(durable.url("any"), host="127.0.0.1", password="guessed")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells when somebody else's process ends")
@pytest.mark.parametrize("stopped", [False, True], ids=["running", "standing-still"])
def test_a_server_ends_with_the_process_that_started_it_and_leaves_nothing(*, stopped: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ONE_THAT_WAITS], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        server, guardian, folder = owner.stdout.readline().split()
        ends = [os.pidfd_open(int(server)), os.pidfd_open(int(guardian))]
        if stopped:
            os.kill(int(server), signal.SIGSTOP)
        owner.send_signal(signal.SIGKILL)
    for end in ends:
        assert select.select([end], [], [], 20)[0], "it outlived its owner"
        os.close(end)
    assert not Path(folder).exists()
