"""What a schema comes to, in lines: to compare databases, and with `tests/store/snapshots/*.txt`.

`python -m tests.store.schemas` writes those files anew; their difference is what a migration changes.
"""

import asyncio
import re
import tempfile
from pathlib import Path

import apsw
import psycopg

from covey.store.postgres.schema import migrate
from covey.store.sqlite import transaction

from ..postgres_server import session_server

FOLDER = Path(__file__).parent / "snapshots"
OURS = "covey_schema"
"""The list of migrations is made before the first of them."""

COLUMNS = """
SELECT format('%s %s.%s %s%s%s', CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END, c.relname, a.attname,
    format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' NOT NULL' END,
    CASE WHEN a.attidentity <> '' THEN ' IDENTITY' ELSE ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'p')
"""
CONSTRAINTS = """
SELECT format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
"""
INDEXES = "SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'"
OPTIONS = """
SELECT format('options %s %s', relname, array_to_string(reloptions, ', '))
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL
"""
VIEWS = "SELECT format('query %s %s', viewname, definition) FROM pg_views WHERE schemaname = 'public'"
CODE = """
SELECT format('function %s %s', oid::regprocedure, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT format('trigger %s', pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
"""


async def of_postgres(url: str, *, queries: bool = True) -> list[str]:
    """The catalogue in lines. `queries` are those of the views, which versions of PostgreSQL write differently."""
    looks = [COLUMNS, CONSTRAINTS, INDEXES, OPTIONS, CODE, *([VIEWS] if queries else [])]
    async with await psycopg.AsyncConnection.connect(url) as connection:
        found = [str(row[0]) for look in looks for row in await (await connection.execute(look.encode())).fetchall()]
    return sorted(" ".join(line.split()) for line in found if OURS not in line)


def of_sqlite(connection: apsw.Connection) -> list[str]:
    """The statements that made it, without their comments and line ends."""
    found = connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return sorted(" ".join(re.sub(r"--.*", "", str(row[0])).split()) for row in found)


async def fresh_postgres() -> list[str]:
    """What all migrations come to."""
    server = session_server()
    url = server.create_database("fresh")
    try:
        await migrate(url)
        return await of_postgres(url, queries=False)
    finally:
        server.drop("fresh")


def fresh_sqlite() -> list[str]:
    """The same of the other store."""
    with tempfile.TemporaryDirectory() as folder:
        database = transaction.connect(Path(folder) / "covey.db", {})
        transaction.migrate(database)
        try:
            return of_sqlite(database.connection)
        finally:
            database.connection.close()


def written(name: str) -> list[str]:
    """The lines that are checked in."""
    return (FOLDER / f"{name}.txt").read_text("utf-8").splitlines()


def main() -> None:
    """Write the files anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, lines in (("postgres", asyncio.run(fresh_postgres())), ("sqlite", fresh_sqlite())):
        (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
