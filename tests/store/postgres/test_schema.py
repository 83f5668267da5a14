"""Migrations on a real server: pre, post, side by side, two at once. The packages of migrations are made here."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from covey.store.migrate import Stage, StoreError, migrations
from covey.store.postgres import schema
from covey.store.postgres.connection import alone
from covey.store.postgres.schema import Schema, examine, migrate, refuse_server

from ...postgres_server import Server, session_server

OLD = {"0001_initial": "CREATE TABLE things (old integer); INSERT INTO things VALUES (7);"}
NEW = {
    **OLD,
    "0002_add": "ALTER TABLE things ADD COLUMN new integer;",
    "0003_copy.post": "UPDATE things SET new = old; ALTER TABLE things DROP COLUMN old;",
    "0004_more": "CREATE TABLE more (id integer);",
}
Make = Callable[[str, dict[str, str]], str]


@pytest.fixture
def server() -> Server:
    return session_server()


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    yield server.create_database("schema")
    server.drop("schema")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a package with these migrations; its name."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(name: str, files: dict[str, str]) -> str:
        folder = tmp_path / name / "migrations"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        for file, text in files.items():
            (folder / f"{file}.sql").write_text(f"-- A migration of a test.\n{text}\n")
        made.append(name)
        return name

    yield make
    for name in made:
        sys.modules.pop(name, None)


@asynccontextmanager
async def look(url: str, package: str) -> AsyncIterator[Schema]:
    async with alone(url, package=package) as connection:
        yield await examine(connection, package)


async def rows(url: str, query: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await (await connection.execute(query.encode())).fetchall()


def test_the_stage_is_in_the_files_name(package: Make) -> None:
    found = migrations(package("staged", NEW))
    assert [(step.number, step.name, step.stage) for step in found] == [
        (1, "initial", Stage.pre),
        (2, "add", Stage.pre),
        (3, "copy", Stage.post),
        (4, "more", Stage.pre),
    ]
    with pytest.raises(StoreError, match="numbered"):
        migrations(package("gap", {"0001_a": "", "0003_b": ""}))


async def test_an_empty_database_gets_everything_at_once(url: str, package: Make) -> None:
    new = package("new", NEW)
    async with look(url, new) as before:
        assert before.fresh
        assert len(before.due(post=False)) == 4
    assert [step.number for step in await migrate(url, package=new)] == [1, 2, 3, 4]
    assert await migrate(url, package=new) == []
    assert await rows(url, "SELECT * FROM things") == [(7,)]
    noted = await rows(url, "SELECT number, name, stage FROM covey_schema ORDER BY number")
    assert noted == [(1, "initial", "pre"), (2, "add", "pre"), (3, "copy", "post"), (4, "more", "pre")]
    stamped = "SELECT count(*) FROM covey_schema WHERE to_timestamp(applied_at / 1e6) > now() - interval '1 minute'"
    assert await rows(url, stamped) == [(4,)]


async def test_a_rolling_upgrade(url: str, package: Make) -> None:
    old, new = package("old", OLD), package("new", NEW)
    await migrate(url, package=old)
    async with alone(url, package=old):
        assert [step.number for step in await migrate(url, package=new)] == [2, 4]
        async with look(url, old) as seen_by_old:
            assert seen_by_old.pending == ()
        assert await migrate(url, package=old) == []
        with pytest.raises(StoreError, match="older Covey is still connected"):
            await migrate(url, post=True, package=new)
    assert await rows(url, "SELECT old, new FROM things") == [(7, None)]
    async with alone(url, package=new):
        assert [step.number for step in await migrate(url, post=True, package=new)] == [3]
    assert await rows(url, "SELECT * FROM things") == [(7,)]
    with pytest.raises(StoreError, match="0003 copy, which takes away what this older Covey needs"):
        await migrate(url, package=old)
    async with look(url, new) as after:
        assert after.pending == ()


async def test_a_migration_that_fails_leaves_nothing_and_is_tried_again(url: str, package: Make) -> None:
    bad = {**OLD, "0002_bad": "CREATE TABLE half (id integer); SELECT 1 / 0;", "0003_never": "CREATE TABLE x ();"}
    with pytest.raises(StoreError, match=r"migration 0002 bad \(pre\) failed and left nothing: division by zero"):
        await migrate(url, package=package("bad", bad))
    assert await rows(url, "SELECT number FROM covey_schema") == [(1,)]
    assert await rows(url, "SELECT to_regclass('half'), to_regclass('x')") == [(None, None)]
    mended = {**bad, "0002_bad": "CREATE TABLE half (id integer);"}
    assert [step.number for step in await migrate(url, package=package("mended", mended))] == [2, 3]


async def test_another_line_of_development_is_refused(url: str, package: Make) -> None:
    await migrate(url, package=package("old", OLD))
    with pytest.raises(StoreError, match="different lines of development"):
        await migrate(url, package=package("other", {"0001_first": ""}))


SLOW = {"0001_slow": "CREATE TABLE slow (id integer); SELECT pg_sleep(0.3);", "0002_next": "CREATE TABLE next ();"}
MIGRATE = """
import asyncio, sys
from covey.store.postgres.schema import migrate
print(*(step.number for step in asyncio.run(migrate(sys.argv[1], package="slow"))))
"""


async def test_two_processes_that_start_at_once(url: str, package: Make, tmp_path: Path) -> None:
    package("slow", SLOW)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, url, env=environment, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = [(await process.communicate())[0].decode().split("\n")[-2] for process in processes]
    assert sorted(said) == ["", "1 2"]
    assert [process.returncode for process in processes] == [0, 0]


async def test_nobody_waits_for_ever_for_another_who_migrates(url: str, package: Make) -> None:
    old = package("old", OLD)
    async with alone(url) as other:
        await other.execute("SELECT pg_advisory_lock(hashtextextended('covey migrations', 0))")
        with pytest.raises(StoreError, match="another process has been migrating"):
            await migrate(url, package=old, patience=0.2)
    assert len(await migrate(url, package=old)) == 1


@pytest.mark.parametrize(
    ("version", "encoding", "words"),
    [(140012, "UTF8", "PostgreSQL 14; Covey needs 15 or newer"), (150000, "SQL_ASCII", "encoding is SQL_ASCII")],
)
def test_a_server_that_covey_cannot_run_on_is_refused(version: int, encoding: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        refuse_server(version, encoding)


async def test_the_server_is_asked_what_it_is(url: str, package: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "OLDEST", 99)
    with pytest.raises(StoreError, match="needs 99 or newer"):
        await migrate(url, package=package("old", OLD))
