"""The operations of `covey.store.operations` on a connection. Nothing waits here: each call is answered at once."""

import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import apsw
import orjson

from covey import private
from covey.domain.clock import Clock
from covey.store.migrate import pending
from covey.store.operations.transaction import Params, Row, Values

STEPS = 1000
"""After so many steps of SQLite's machine, some tens of microseconds, it is looked whether the time is over."""


class SqliteConnection:
    """One connection, used by one thread at a time."""

    def __init__(self, connection: apsw.Connection, sql: Mapping[str, str]) -> None:
        self.connection = connection
        self._sql = sql
        self.wakeups: list[str] = []
        """The wakeups of the operation that is being run."""

    def end_at(self, end: float | None) -> None:
        """Interrupt what is executed after `end`, in monotonic seconds; None: nothing."""
        over = None if end is None else lambda: time.monotonic() >= end
        self.connection.set_progress_handler(over, STEPS)

    def rows(self, name: str, params: Params) -> list[tuple[Any, ...]]:
        """All rows of statement `name`."""
        return self.connection.execute(self._sql[name], params).fetchall()

    def row(self, name: str, params: Params) -> Row | None:
        """The first row of statement `name`, its columns as attributes; None if there is none."""
        return next(iter(self.named(name, params)), None)

    def named(self, name: str, params: Params | tuple[Any, ...]) -> list[Row]:
        """All rows of statement `name`, their columns as attributes."""
        cursor = self.connection.execute(self._sql[name], params)
        try:
            columns = [column[0] for column in cursor.description]
        except apsw.ExecutionCompleteError:
            return []
        return [SimpleNamespace(**dict(zip(columns, row, strict=True))) for row in cursor]

    def value(self, name: str, params: Params) -> Any:
        """The first column of the first row of statement `name`; None if there is none."""
        values = self.connection.execute(self._sql[name], params).fetchone()
        return None if values is None else values[0]

    def run(self, name: str, params: Params) -> int:
        """Execute statement `name`; how many rows it changed."""
        self.connection.execute(self._sql[name], params)
        return self.connection.changes()

    def many(self, name: str, values: Iterable[tuple[Any, ...]]) -> None:
        """Execute statement `name` once for each of `values`, given in the order in which it first names them."""
        self.connection.executemany(self._sql[name], values)

    def each(self, name: str, values: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The rows that statement `name` finds for each of `values`."""
        return list(self.connection.executemany(self._sql[name], values))


T = TypeVar("T")


def completed(operation: Coroutine[Any, Any, T]) -> T:
    """What an operation returns that has nothing to wait for."""
    try:
        operation.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    operation.close()
    raise RuntimeError("an operation on SQLite waited for something")


class SqliteTransaction:
    """A `covey.store.operations.transaction.Database`: a transaction of the one process that owns the file."""

    def __init__(self, database: SqliteConnection, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def rows(self, name: str, params: Params) -> list[tuple[Any, ...]]:
        return self._database.rows(name, params)

    async def named(self, name: str, params: Params) -> list[Row]:
        return self._database.named(name, params)

    async def row(self, name: str, params: Params) -> Row | None:
        return self._database.row(name, params)

    async def value(self, name: str, params: Params) -> Any:
        return self._database.value(name, params)

    async def run(self, name: str, params: Params) -> int:
        return self._database.run(name, params)

    async def write(self, name: str, params: Params) -> None:
        self._database.run(name, params)

    async def many(self, name: str, values: Values) -> None:
        self._database.many(name, values)

    async def each(self, name: str, values: Values) -> list[tuple[Any, ...]]:
        return self._database.each(name, values)

    async def each_named(self, name: str, values: Values) -> list[Row]:
        return [row for one in values for row in self._database.named(name, one)]

    async def append(self, name: str, values: Values) -> None:
        self._database.many(name, values)

    def array(self, values: Sequence[str] | Sequence[int]) -> Any:
        return orjson.dumps(values).decode()

    async def end_after(self, seconds: float) -> None:
        self._database.end_at(time.monotonic() + seconds)

    async def lock(self, name: str, params: Params) -> None:
        pass

    async def alone(self, name: str) -> bool:
        return True

    async def tell(self, what: str) -> None:
        self._database.wakeups.append(what)

    async def now(self) -> datetime:
        return self._clock.now()


PACKAGE = "covey.store.sqlite"


def connect(path: Path, sql: Mapping[str, str], *, readonly: bool = False) -> SqliteConnection:
    """A connection with the settings that every connection of Covey has."""
    if not readonly:
        private.new_file(path)
    flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=256)
    connection.set_busy_timeout(10_000)
    if not readonly:
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.pragma("wal_autocheckpoint", 0)
    # A statement is planned once, not anew for every value it is given.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.pragma("foreign_keys", False)
    connection.pragma("cache_size", -32_000)
    return SqliteConnection(connection, sql)


def migrate(database: SqliteConnection) -> None:
    """Bring the schema up to date. Raises StoreError if the database is newer than this code."""
    connection = database.connection
    for step in pending(PACKAGE, int(connection.pragma("user_version"))):
        with connection:
            connection.execute(step.sql)
            connection.pragma("user_version", step.number)
