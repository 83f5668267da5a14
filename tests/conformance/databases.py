"""The databases that pass this suite. What a test cannot say in the ports' language is said here, once for each.

A new one joins by an entry in DATABASES; no test knows more of it than `covey.store.store.Store` and `Database`.
"""

import asyncio
import itertools
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covey.domain.clock import Clock
from covey.store.postgres.store import PostgresStore
from covey.store.sqlite import SqliteStore, writer
from covey.store.sqlite.transaction import SqliteConnection as Connection
from covey.store.store import Store

from ..patience import PATIENCE
from ..postgres_server import session_server

PATIENT = f"options=-c%20idle_in_transaction_session_timeout%3D{PATIENCE:.0f}s"
"""Of a URL: on a busy machine a test may stand still within a transaction for longer than a server should."""

Fault = Callable[[Store, Sequence[Callable[[], Awaitable[Any]]]], Awaitable[list[Any]]]


@dataclass(frozen=True)
class Database:
    """How to open a new, empty one, with a clock and with whom it tells its hints; how a worker's process dies (for
    good: it is only looked at); and, where there is such a thing, how operations run together while the disk is full:
    what each returned or raised."""

    open: Callable[..., AbstractAsyncContextManager[Store]]
    kill: Callable[[Store, str], Awaitable[None]]
    full_disk: Fault | None = None
    slower: int = 1
    """A history takes about so many times as long as on SQLite: the suite tries so many fewer of them."""


def quick_folder() -> str | None:
    """A folder in memory where there is one: what is tested here is behaviour, not disks."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


Heard = Callable[[str], None]


def nobody(hint: str) -> None:
    """Hears hints, and does nothing."""


@asynccontextmanager
async def open_sqlite(clock: Clock, heard: Heard = nobody) -> AsyncIterator[Store]:
    """A SQLite database in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=quick_folder()) as folder:
        store = SqliteStore(Path(folder) / "covey.db", clock, heard)
        await store.open()
        try:
            yield store
        finally:
            await store.close()


async def kill_on_sqlite(store: Store, worker: str) -> None:
    """One process owns the database: any other worker is dead as soon as somebody looks."""


async def sqlite_full(store: Store, operations: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Run operations in one group, whatever time it takes, in the middle of which something does not fit into the
    file any more: a real SQLITE_FULL."""
    assert isinstance(store, SqliteStore)
    go = threading.Event()
    patience, writer.GROUP_SECONDS = writer.GROUP_SECONDS, 60.0

    def hold(database: Connection) -> None:
        connection = database.connection
        connection.pragma("max_page_count", connection.pragma("page_count") + 200)
        go.wait(PATIENCE)

    def fill(database: Connection) -> None:
        database.run(
            "event_new",
            {"workspace": "", "batch": b"", "at": 0, "type": "filler", "actor": None, "data": "x" * 2_000_000},
        )

    half = len(operations) // 2
    held = asyncio.ensure_future(store.writer.run(hold))
    before = [asyncio.ensure_future(operation()) for operation in operations[:half]]
    filling = asyncio.ensure_future(store.writer.run(fill))
    after = [asyncio.ensure_future(operation()) for operation in operations[half:]]
    await asyncio.sleep(0)
    go.set()
    results = await asyncio.gather(*before, *after, held, filling, return_exceptions=True)
    writer.GROUP_SECONDS = patience
    await store.writer.run(lambda database: database.connection.pragma("max_page_count", 1 << 30))
    assert isinstance(results[-1], Exception), "the disk was not full"
    return results[: len(operations)]


_names = (f"conformance_{n}" for n in itertools.count())
_migrated: list[str] = []
_left: list[str] = []
"""Databases to remove. PostgreSQL waits a tenth of a second where a session has only just ended, so: later."""


async def template() -> str:
    """The migrated, empty database that every test gets a copy of, made by the first that asks."""
    if not _migrated:
        store = PostgresStore(session_server().create_database("conformance"))
        await store.open()
        await store.close()
        _migrated.append("conformance")
    return _migrated[0]


@asynccontextmanager
async def open_postgres(clock: Clock, heard: Heard = nobody) -> AsyncIterator[Store]:
    """A database of its own on the session's server, migrated once and copied. Whose lock is free is dead at once."""
    server, name = session_server(), next(_names)
    while len(_left) > 1:
        server.drop(_left.pop(0))
    url = server.create_database(name, await template())
    url += ("&" if "?" in url else "?") + PATIENT
    store = PostgresStore(url, clock, heard=heard, free_seconds=0)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
        _left.append(name)


async def kill_on_postgres(store: Store, worker: str) -> None:
    """Its lock session ends, and nothing else is written. All others look before, so they know that it lived, and
    after: the next look of each finds it dead."""
    assert isinstance(store, PostgresStore)
    others = [life for life in store.lives._lives if life != worker]
    for other in others:
        await store.dead_workers(other)
    await store.lives.end(worker)
    for other in others:
        await store.dead_workers(other)


DATABASES = {
    "sqlite": Database(open_sqlite, kill_on_sqlite, sqlite_full),
    "postgres": Database(open_postgres, kill_on_postgres, slower=10),
}
