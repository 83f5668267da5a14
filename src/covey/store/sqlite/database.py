"""A connection with the statements of `covey.store.statements`."""

import time
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import apsw

from covey.store.operations.database import Params, Row

STEPS = 1000
"""After so many steps of SQLite's machine, some tens of microseconds, it is looked whether the time is over."""


class Database:
    """One connection, used by one thread at a time."""

    def __init__(self, connection: apsw.Connection, sql: Mapping[str, str]) -> None:
        self.connection = connection
        self._sql = sql
        self.told: list[str] = []
        """The hints of the operation that is being run."""

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
