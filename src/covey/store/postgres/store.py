"""The PostgreSQL store: every operation is one pipelined transaction on a connection of the pool."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import psycopg

from covey.domain.batch import NewItem
from covey.domain.clock import Clock
from covey.domain.liveness import FREE_SECONDS
from covey.store.migrate import StoreError
from covey.store.operations import drafts, workers
from covey.store.operations.transaction import moment
from covey.store.postgres.connection import Connection, lent, make_pool
from covey.store.postgres.errors import retried, unavailable
from covey.store.postgres.heartbeat import LOCK_CLASS, LockSessions
from covey.store.postgres.schema import migrate
from covey.store.postgres.transaction import PostgresTransaction, statements
from covey.store.results import Claim, WorkerInfo
from covey.store.store import Operation, Store

T = TypeVar("T")

ATTEMPTS = 5
"""So often a transaction is tried that others were in the way of."""


class PostgresStore(Store):
    """A database that any number of processes share. Implements `covey.store.store.Store`."""

    def __init__(
        self,
        url: str,
        clock: Clock | None = None,
        *,
        lock_url: str | None = None,
        connections: int = 8,
        heard: Callable[[str], None] = lambda wakeup: None,
        free_seconds: float = FREE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`url` is libpq's; with a `lock_url` of its own it leads to a pooler (PgBouncer in transaction mode), and
        `lock_url` to PostgreSQL itself. `clock` None: the database's own. `heard` gets the wakeups of all processes."""
        self._direct_url = lock_url or url
        self._clock = clock
        self._pool = make_pool(url, most=connections, pooled=lock_url is not None)
        self.lives = LockSessions(self._direct_url, heard, free_seconds=free_seconds, monotonic=monotonic)

    async def open(self) -> None:
        await migrate(self._direct_url)
        await self._pool.open()

    async def close(self) -> None:
        await self.lives.close()
        await self._pool.close()

    async def backup(self, path: str) -> None:
        raise StoreError("a PostgreSQL database is backed up by its own tools: pg_dump, or pg_basebackup and its log")

    @property
    def waiting(self) -> int:
        """How many operations wait for a connection."""
        return int(self._pool.get_stats().get("requests_waiting", 0))

    async def _write(self, operation: Operation[T], *, urgent: bool = False, rows: int = 1) -> T:
        with self._writing():
            return await self._repeated("begin_write", operation)

    async def _read(self, operation: Operation[T]) -> T:
        return await self._repeated("begin_read", operation)

    async def _page(self, operation: Operation[T]) -> T:
        return await self._repeated("begin_read", operation)

    async def append(self, batch: str, first_seq: int, items: Sequence[NewItem]) -> None:
        with self._writing():
            async with lent(self._pool) as connection, connection.transaction():
                await drafts.append(PostgresTransaction(connection, self._clock), batch, first_seq, items)

    async def _repeated(self, begin: str, operation: Operation[T]) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._once(begin, operation)
            except psycopg.Error as error:
                if not retried(error):
                    raise
        try:
            return await self._once(begin, operation)
        except psycopg.Error as error:
            raise unavailable(error) or error from error

    async def _once(self, begin: str, operation: Operation[T]) -> T:
        async with lent(self._pool) as connection:
            try:
                async with connection.pipeline() as pipeline:
                    await connection.execute(statements()[begin].sql)
                    result = await operation(PostgresTransaction(connection, self._clock, pipeline))
                    committed = await connection.execute(statements()["commit"].sql)
            except BaseException:
                await _roll_back(connection)
                raise
            assert committed.statusmessage == "COMMIT", "PostgreSQL rolled a transaction back in silence"
            return result

    # Claims, and who is alive

    async def claim(self, worker: str, lane: str, capacity: int) -> Claim:
        self.lives.check(worker)
        return await super().claim(worker, lane, capacity)

    async def time(self) -> datetime:
        if self._clock is not None:
            return self._clock.now()
        async with lent(self._pool) as connection:
            row = await (await connection.execute(statements()["now"].sql)).fetchone()
        assert row is not None
        now: datetime = moment(row[0])
        return now

    async def enlist(self, worker: str) -> None:
        await self.lives.begin(worker)

    async def retire(self, worker: str) -> None:
        await self._write(lambda db: workers.retire(db, worker))
        await self.lives.end(worker)

    async def dead_workers(self, me: str) -> list[str]:
        return await self._write(lambda db: self.lives.dead_workers(me, db))

    async def workers(self) -> list[WorkerInfo]:
        return await self._page(lambda db: workers.listed(db, {"class": LOCK_CLASS}))


async def _roll_back(connection: Connection) -> None:
    """End a transaction that went wrong, if its connection still can."""
    if not connection.closed:
        await connection.rollback()
