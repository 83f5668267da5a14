"""The schema of a PostgreSQL database, brought up to date beside processes that still run older code.

At its start every process applies the *pre* migrations that are missing; the *post* ones are applied by `covey migrate
--post` when no older process is alive any more. A database whose pre migrations this code does not know is a newer
Covey's that is being rolled out: that is fine. One with an unknown post migration has lost what this code needs.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
import structlog
from psycopg.errors import LockNotAvailable

from covey.store.migrate import Migration, Stage, StoreError, migrations
from covey.store.postgres.connection import PACKAGE, SESSION, Connection, alone, statement

log = structlog.get_logger(__name__)

OLDEST = 15
"""The oldest major version of PostgreSQL that Covey is tested on."""

PATIENCE_SECONDS = 120.0
"""How long a process waits for another one that migrates."""

LOOK_SECONDS = 0.1
LOCK_ATTEMPTS = 10
"""So often a migration is tried that waits too long for a table's lock: nobody else gets it meanwhile, so it must not
wait for long."""

MIGRATING = {**SESSION, "statement_timeout": "0", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "60s"}


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database has and lacks. `fresh`: there is nothing of Covey's in it yet."""

    fresh: bool
    applied: tuple[int, ...]
    pending: tuple[Migration, ...]

    def of(self, stage: Stage) -> list[Migration]:
        """The pending migrations of a stage."""
        return [step for step in self.pending if step.stage is stage]

    def due(self, *, post: bool) -> list[Migration]:
        """What is to be applied now: in a fresh database everything, as nobody older can know it."""
        return list(self.pending) if post or self.fresh else self.of(Stage.pre)


async def examine(connection: Connection, package: str = PACKAGE) -> Schema:
    """Look at a database. Raises StoreError if this code cannot work with it."""
    server = await (await connection.execute(statement("schema_server"))).fetchone()
    assert server is not None
    version, encoding, made = server
    refuse_server(version, encoding)
    known = migrations(package)
    if not made:
        return Schema(True, (), tuple(known))
    rows = await (await connection.execute(statement("schema_applied"))).fetchall()
    applied = {number: (name, stage) for number, name, stage in rows}
    _refuse_strangers(known, applied)
    return Schema(not applied, tuple(applied), tuple(step for step in known if step.number not in applied))


def refuse_server(version: int, encoding: str) -> None:
    """Raise StoreError for a server that Covey cannot run on. `version` is `server_version_num`."""
    if version < OLDEST * 10_000:
        raise StoreError(f"the database is PostgreSQL {version // 10_000}; Covey needs {OLDEST} or newer")
    if encoding != "UTF8":
        raise StoreError(f"the database's encoding is {encoding}; create one with ENCODING 'UTF8'")


def _refuse_strangers(known: list[Migration], applied: dict[int, tuple[str, str]]) -> None:
    """Raise StoreError if the database was changed so that this code cannot work with it."""
    for number, (name, stage) in applied.items():
        if number > len(known):
            if stage == Stage.post:
                raise StoreError(
                    f"the database has the migration {number:04} {name}, which takes away what this older Covey needs: "
                    "run the newer Covey that made it, or restore a backup from before"
                )
        elif (known[number - 1].name, known[number - 1].stage) != (name, stage):
            raise StoreError(
                f"the database's migration {number:04} is {name} ({stage}), this Covey's is {known[number - 1].name} "
                f"({known[number - 1].stage}): they come from different lines of development"
            )


async def migrate(
    url: str, *, post: bool = False, package: str = PACKAGE, patience: float = PATIENCE_SECONDS
) -> list[Migration]:
    """Apply what is missing, with `post` also what waits for the last older process; the migrations applied.

    `url` leads to PostgreSQL itself, not to a pooler. Raises StoreError with a sentence: the database cannot be
    reached or used, another process migrates for longer than `patience` seconds, a migration failed (nothing of it is
    left), or an older process is alive that a post migration would break.
    """
    async with alone(url, MIGRATING, package=package) as connection:
        try:
            if not (await examine(connection, package)).due(post=post):
                return []
            await _become_the_one(connection, patience)
            schema = await examine(connection, package)
            await connection.execute(statement("schema_make"))
            return [step async for step in _apply(connection, schema, post=post)]
        except psycopg.Error as error:
            raise StoreError(f"the schema cannot be brought up to date: {_reason(error)}") from error


async def older_processes(connection: Connection, number: int) -> bool:
    """Whether a Covey is connected that does not know migration `number`."""
    cursor = await connection.execute(statement("schema_others"))
    return any(row[0] < number for row in await cursor.fetchall())


async def _become_the_one(connection: Connection, patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            while True:
                row = await (await connection.execute(statement("schema_lock"))).fetchone()
                if row is not None and row[0]:
                    return
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise StoreError(
            f"another process has been migrating the database for {patience:g} s; try again later"
        ) from None


async def _apply(connection: Connection, schema: Schema, *, post: bool) -> AsyncIterator[Migration]:
    for step in schema.due(post=post):
        if step.stage is Stage.post and not schema.fresh and await older_processes(connection, step.number):
            raise StoreError(f"an older Covey is still connected that {step} would break: stop it first")
        async with _named(step):
            await _apply_one(connection, step)
        log.info("migrated", migration=str(step))
        yield step


@asynccontextmanager
async def _named(step: Migration) -> AsyncIterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise StoreError(f"migration {step} failed and left nothing: {_reason(error)}") from error


async def _apply_one(connection: Connection, step: Migration) -> None:
    noted = {"number": step.number, "name": step.name, "stage": step.stage}
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            async with connection.transaction():
                await connection.execute(step.sql.encode())
                await connection.execute(statement("schema_add"), noted)
            return
        except LockNotAvailable:
            if attempt == LOCK_ATTEMPTS:
                raise
            await asyncio.sleep(LOOK_SECONDS * attempt)


def _reason(error: psycopg.Error) -> str:
    """The server's own sentence, without the values that its detail may hold."""
    return error.diag.message_primary or " ".join(str(error).split()) or type(error).__name__
