"""A schema is the same whichever way it came to be, and it is the one that is checked in.

If a migration is new: `python -m tests.store.schemas`, and look at the difference.
"""

import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import apsw
import psycopg
import pytest

from covey.store.migrate import migrations
from covey.store.postgres.connection import PACKAGE
from covey.store.postgres.schema import migrate
from covey.store.sqlite.transaction import PACKAGE as SQLITE

from ..postgres_server import session_server
from .schemas import fresh_postgres, fresh_sqlite, of_postgres, of_sqlite, written


@pytest.fixture
def url() -> Iterator[str]:
    server = session_server()
    yield server.create_database("schemas")
    server.drop("schemas")


def test_both_stores_have_the_same_migrations() -> None:
    listed = [[(step.number, step.name, step.stage) for step in migrations(each)] for each in (PACKAGE, SQLITE)]
    assert listed[0] == listed[1]


async def test_postgres_has_the_schema_that_is_checked_in() -> None:
    assert await fresh_postgres() == written("postgres")


def test_sqlite_has_the_schema_that_is_checked_in() -> None:
    assert fresh_sqlite() == written("sqlite")


@pytest.mark.parametrize("known", range(1, len(migrations(PACKAGE)) + 1))
async def test_an_upgrade_from_every_older_covey_ends_where_a_fresh_database_begins(
    url: str, known: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pre migrations first, post ones after the last older process: another order than a fresh database's."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"older_covey_{known}"
    folder = tmp_path / name / "migrations"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    for file in sorted(files(PACKAGE).joinpath("migrations").iterdir(), key=lambda file: file.name)[:known]:
        (folder / file.name).write_text(file.read_text())
    try:
        await migrate(url, package=name)
    finally:
        sys.modules.pop(name, None)
    await migrate(url)
    await migrate(url, post=True)
    assert await migrate(url, post=True) == []
    upgraded = await of_postgres(url)
    fresh = session_server().create_database("schemas_fresh")
    try:
        await migrate(fresh)
        assert upgraded == await of_postgres(fresh)
    finally:
        session_server().drop("schemas_fresh")


CHANGES = (
    "ALTER TABLE things ADD COLUMN more integer",
    "ALTER TABLE things ALTER n TYPE bigint",
    "ALTER TABLE things ALTER n SET DEFAULT 2",
    "ALTER TABLE things ALTER n DROP NOT NULL",
    "ALTER TABLE things DROP CONSTRAINT things_pkey",
    "ALTER TABLE things ADD CHECK (n > 0)",
    "ALTER TABLE things SET (fillfactor = 50)",
    "CREATE INDEX ON things (n) WHERE n > 1",
    "CREATE OR REPLACE VIEW seen AS SELECT n FROM things WHERE n > 1",
    "DROP VIEW seen",
    "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
)


async def test_every_difference_is_seen(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for change in CHANGES:
            await connection.execute("DROP TABLE IF EXISTS things CASCADE")
            await connection.execute("CREATE TABLE things (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 1)")
            if "VIEW" in change:
                await connection.execute("CREATE VIEW seen AS SELECT n FROM things")
            before = await of_postgres(url)
            await connection.execute(change.encode())
            assert await of_postgres(url) != before, change


def test_every_difference_is_seen_on_sqlite_too() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE things (n INTEGER -- a number\n) STRICT")
    assert of_sqlite(connection) == ["CREATE TABLE things (n INTEGER ) STRICT"]
    connection.execute("CREATE INDEX things_n ON things (n)")
    assert len(of_sqlite(connection)) == 2
