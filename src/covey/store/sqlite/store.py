"""The SQLite store: every operation crosses once to the writer's thread, or to a reader's.

Pages have readers of their own, so that no key, status or cancel ever waits behind a long list.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import apsw

from covey.domain.clock import Clock
from covey.store.migrate import StoreError
from covey.store.operations import workers
from covey.store.operations.transaction import Database
from covey.store.results import WorkerInfo
from covey.store.sqlite.backup import copy_database
from covey.store.sqlite.checkpoints import Checkpoints
from covey.store.sqlite.lock import OwnerLock
from covey.store.sqlite.reader import Reader
from covey.store.sqlite.transaction import SqliteConnection, SqliteTransaction, completed, connect, migrate
from covey.store.sqlite.writer import Writer
from covey.store.statements import statements
from covey.store.store import Operation, Store

T = TypeVar("T")


class SqliteStore(Store):
    """A database in one file, owned by one process. Implements `covey.store.store.Store`."""

    def __init__(self, path: Path, clock: Clock, heard: Callable[[str], None] = lambda wakeup: None) -> None:
        """`path` is the database file; its folder must exist. `heard` gets the wakeups, all of this process."""
        self.path = Path(path)
        self.clock = clock
        self.lock = OwnerLock(self.path.with_suffix(".lock"))
        self._sql = statements("sqlite")
        self.writer = Writer(self._connect_writer, heard)
        self._reader = Reader(lambda: connect(self.path, self._sql, readonly=True))
        self._pages = Reader(lambda: connect(self.path, self._sql, readonly=True))
        self._checkpoints = Checkpoints(lambda: connect(self.path, self._sql))

    async def open(self) -> None:
        await self.lock.acquire()
        try:
            await self.writer.start()
        except BaseException:
            self.lock.release()
            raise
        self._checkpoints.start()

    async def close(self) -> None:
        await self.writer.stop()
        await asyncio.to_thread(self._reader.close)
        await asyncio.to_thread(self._pages.close)
        await asyncio.to_thread(self._checkpoints.stop)
        self.lock.release()

    @property
    def waiting(self) -> int:
        """How many operations wait for the writer."""
        return self.writer.waiting

    async def time(self) -> datetime:
        return self.clock.now()

    async def backup(self, path: str) -> None:
        await asyncio.to_thread(copy_database, self.path, Path(path))

    def _connect_writer(self) -> SqliteConnection:
        try:
            database = connect(self.path, self._sql)
            migrate(database)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise StoreError(f"{self.path} is not a sound database: restore a backup (covey restore)") from error
        except apsw.Error as error:
            raise StoreError(f"{self.path} cannot be opened: {error}") from error
        database.connection.set_wal_hook(self._checkpoints.grown)
        return database

    async def _write(self, operation: Operation[T], *, urgent: bool = False, rows: int = 1) -> T:
        with self._writing():
            return await self.writer.run(self._on(operation), urgent=urgent, rows=rows)

    async def _read(self, operation: Operation[T]) -> T:
        return await self._reader.run(self._on(operation))

    async def _page(self, operation: Operation[T]) -> T:
        return await self._pages.run(self._on(operation))

    def _on(self, operation: Operation[T]) -> Callable[[SqliteConnection], T]:
        return lambda database: completed(operation(SqliteTransaction(database, self.clock)))

    # Who is alive: one process owns the database, so every worker but its own is dead.

    async def enlist(self, worker: str) -> None:
        await self._write(lambda db: workers.enlist(db, worker))

    async def retire(self, worker: str) -> None:
        await self._write(lambda db: workers.retire(db, worker))

    async def dead_workers(self, me: str) -> list[str]:
        return await self._write(lambda db: _bury(db, me))

    async def workers(self) -> list[WorkerInfo]:
        return await self._page(workers.listed)


async def _bury(database: Database, me: str) -> list[str]:
    """Declare every other worker dead: one process owns the database. See `Liveness.dead_workers`."""
    found = [str(row[0]) for row in await database.rows("workers_to_settle", {"me": me})]
    for worker in found:
        await workers.retire(database, worker)
    return found
