"""The database that the settings name, and what follows from which one it is."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from covey import private
from covey.domain.clock import Clock, SystemClock
from covey.settings import Settings, SettingsError
from covey.store.sqlite import SqliteStore
from covey.store.sqlite.lock import OwnerLock
from covey.store.store import Store

FILE = "covey.db"
NO_DRIVER = "database: PostgreSQL needs Covey's extra `postgres`, which is not installed: install covey[postgres]"

Heard = Callable[[str], None]
"""Is told the wakeups of all processes; see `Wakeups.heard`."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A store that is open. `keep_open` are descriptors that every child holds while it lives, so that a successor
    begins after the last of them; `shared` says that other processes may use the database too."""

    store: Store
    keep_open: tuple[int, ...]
    shared: bool


def database_file(settings: Settings) -> Path:
    """Where the SQLite database is, if that is what the settings name."""
    return settings.data / FILE


def make_store(settings: Settings, clock: Clock | None = None, heard: Heard = lambda wakeup: None) -> Store:
    """The store that the settings name, not opened yet. Without a clock, PostgreSQL's own tells the time there.

    Raises SettingsError if Covey was installed without what it needs.
    """
    if settings.database is None:
        return SqliteStore(database_file(settings), clock or SystemClock(), heard)
    need_driver()
    from covey.store.postgres.store import PostgresStore

    lock_url = settings.database_lock_url
    return PostgresStore(
        settings.database.get_secret_value(),
        clock,
        lock_url=lock_url.get_secret_value() if lock_url else None,
        connections=settings.database_connections,
        heard=heard,
    )


def need_driver() -> None:
    """Raise SettingsError if PostgreSQL's driver is not installed."""
    try:
        import psycopg_pool  # noqa: F401
    except ImportError as error:  # psycopg itself says so too, where it finds no libpq
        raise SettingsError(NO_DRIVER) from error


@contextlib.asynccontextmanager
async def opened(settings: Settings, clock: Clock | None, heard: Heard) -> AsyncIterator[Opened]:
    """Open the database, and own the data folder: with either store it is one process's alone, as uploads in flight
    are in it. Raises StoreError and SettingsError with a sentence."""
    private.data_folder(settings.data)
    store = make_store(settings, clock, heard)
    async with contextlib.AsyncExitStack() as stack:
        if not isinstance(store, SqliteStore):
            owner = OwnerLock(database_file(settings).with_suffix(".lock"))
            await owner.acquire(patience=1.0)
            stack.callback(owner.release)
        await store.open()
        stack.push_async_callback(store.close)
        if not isinstance(store, SqliteStore):
            yield Opened(store, (), shared=True)
            return
        assert store.lock.fd is not None, "an open store has its lock"
        yield Opened(store, (store.lock.fd,), shared=False)
