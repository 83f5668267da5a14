"""A connection with the statements of `sql/`, and how values cross between Python and SQLite."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

import apsw
import orjson

from covey.domain.run import Json

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Params = Mapping[str, Any]
Row = Any
"""A row whose columns are attributes."""


def statements() -> dict[str, str]:
    """The statements of `sql/` by their file's name."""
    folder = files("covey.store.sqlite").joinpath("sql")
    return {file.name.removesuffix(".sql"): file.read_text() for file in folder.iterdir()}


def micros(at: datetime | None) -> Any:
    """A time as SQLite keeps it: microseconds since 1970, None for None."""
    return None if at is None else (at - EPOCH) // _MICROSECOND


def moment(stored: int | None) -> Any:
    """A stored time as an aware datetime, None for None."""
    return None if stored is None else EPOCH + timedelta(microseconds=stored)


def span_micros(span: timedelta) -> int:
    """A span of time in microseconds."""
    return span // _MICROSECOND


def dump(value: Json) -> bytes:
    """JSON as UTF-8 bytes."""
    return orjson.dumps(value)


def text(value: Json | Sequence[str]) -> str:
    """JSON as text."""
    return orjson.dumps(value).decode()


def load(stored: bytes | str) -> Any:
    """Stored JSON as Python values."""
    return orjson.loads(stored)


class Database:
    """One connection, used by one thread at a time."""

    def __init__(self, connection: apsw.Connection, sql: Mapping[str, str]) -> None:
        self.connection = connection
        self._sql = sql

    def rows(self, name: str, params: Params) -> list[tuple[Any, ...]]:
        """All rows of statement `name`."""
        return self.connection.execute(self._sql[name], params).fetchall()

    def rows_of(self, name: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """All rows of statement `name`, which takes its parameters by position (hot statements do)."""
        return self.connection.execute(self._sql[name], params).fetchall()

    def row(self, name: str, params: Params) -> Row | None:
        """The first row of statement `name`, its columns as attributes; None if there is none."""
        return next(iter(self.named(name, params)), None)

    def named(self, name: str, params: Params) -> list[Row]:
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

    def many(self, name: str, params: Iterable[Params | tuple[Any, ...]]) -> None:
        """Execute statement `name` once for each of `params`."""
        self.connection.executemany(self._sql[name], params)
