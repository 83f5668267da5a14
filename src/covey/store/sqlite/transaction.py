"""The operations of `covey.store.operations` on a connection. Nothing waits here: each call is answered at once."""

import time
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any, TypeVar

import orjson

from covey.domain.clock import Clock
from covey.store.operations.database import Params, Row, Values
from covey.store.sqlite.database import Database

T = TypeVar("T")


def completed(operation: Coroutine[Any, Any, T]) -> T:
    """What an operation returns that has nothing to wait for."""
    try:
        operation.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    operation.close()
    raise RuntimeError("an operation on SQLite waited for something")


class Transaction:
    """A `covey.store.operations.database.Database`: a transaction of the one process that owns the file."""

    def __init__(self, database: Database, clock: Clock) -> None:
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
        self._database.told.append(what)

    async def now(self) -> datetime:
        return self._clock.now()
