"""The operations of `covey.store.operations` in one transaction of PostgreSQL, pipelined.

What answers nothing is sent without waiting; what answers is waited for together with all that was sent before it.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

from psycopg import AsyncCursor, AsyncPipeline

from covey.domain.clock import Clock
from covey.store.operations.transaction import Params, Row, Values, moment
from covey.store.postgres.connection import Connection
from covey.store.statements import statements as texts

_PARAMETER = re.compile(r"%\((\w+)\)s")
_KEYS_OF_ITS_OWN = 0x436F7665 << 32
"""The upper half of the keys of `alone`."""

COPIES = {"items_new": "items_copy"}
"""The statements by which very many new rows are written."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's text, and its parameters in the order in which it first names them. `arrays` is the same text for
    parameters that are arrays, which are much faster in binary."""

    sql: bytes
    arrays: bytes
    names: tuple[str, ...]


@cache
def statements() -> Mapping[str, Statement]:
    """The statements of PostgreSQL by name, as psycopg takes them."""
    return {name: _statement(sql) for name, sql in texts("postgres").items()}


def _statement(sql: str) -> Statement:
    arrays = _PARAMETER.sub(r"%(\1)b", sql)
    names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
    return Statement(sql.encode(), arrays.encode(), names)


class PostgresTransaction:
    """A `covey.store.operations.transaction.Database`. Without a clock the time is the database's own."""

    def __init__(self, connection: Connection, clock: Clock | None, pipeline: AsyncPipeline | None = None) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self._clock = clock
        self._statements = statements()

    async def _execute(self, name: str, params: Params) -> AsyncCursor[Any]:
        return await self._connection.execute(self._statements[name].sql, params)

    async def _execute_each(self, name: str, values: Values) -> AsyncCursor[Any]:
        statement = self._statements[name]
        columns = map(list, zip(*values, strict=True))
        return await self._connection.execute(statement.arrays, dict(zip(statement.names, columns, strict=True)))

    async def _answered(self, cursor: AsyncCursor[Any]) -> AsyncCursor[Any]:
        """Wait for all that was sent so far by a Sync, not a Flush: only after a Sync does PostgreSQL count the session
        as idle in its transaction, and end it when this process stands still with its locks."""
        if self._pipeline is not None:
            await self._pipeline.sync()
        return cursor

    async def rows(self, name: str, params: Params) -> list[tuple[Any, ...]]:
        return await (await self._answered(await self._execute(name, params))).fetchall()

    async def named(self, name: str, params: Params) -> list[Row]:
        return await _named(await self._answered(await self._execute(name, params)))

    async def row(self, name: str, params: Params) -> Row | None:
        return next(iter(await self.named(name, params)), None)

    async def value(self, name: str, params: Params) -> Any:
        values = await (await self._answered(await self._execute(name, params))).fetchone()
        return None if values is None else values[0]

    async def run(self, name: str, params: Params) -> int:
        return (await self._answered(await self._execute(name, params))).rowcount

    async def write(self, name: str, params: Params) -> None:
        await self._execute(name, params)

    async def many(self, name: str, values: Values) -> None:
        if values:
            await self._execute_each(name, values)

    async def each(self, name: str, values: Values) -> list[tuple[Any, ...]]:
        if not values:
            return []
        return await (await self._answered(await self._execute_each(name, values))).fetchall()

    async def each_named(self, name: str, values: Values) -> list[Row]:
        return await _named(await self._answered(await self._execute_each(name, values))) if values else []

    async def append(self, name: str, values: Values) -> None:
        """Outside a pipeline: COPY cannot be in one."""
        async with (
            self._connection.cursor() as cursor,
            cursor.copy(self._statements[COPIES[name]].sql) as copy,
        ):
            for *others, json in values:
                await copy.write_row((*others, json.decode()))

    def array(self, values: Sequence[str] | Sequence[int]) -> Any:
        return list(values)

    async def end_after(self, seconds: float) -> None:
        await self._execute("begin_timed", {"milliseconds": max(1, round(seconds * 1000))})

    async def lock(self, name: str, params: Params) -> None:
        await self._execute(name, params)

    async def alone(self, name: str) -> bool:
        return bool(await self.value("alone", {"key": _KEYS_OF_ITS_OWN | zlib.crc32(name.encode())}))

    async def tell(self, what: str) -> None:
        await self._execute("notify", {"payload": what})

    async def now(self) -> datetime:
        if self._clock is not None:
            return self._clock.now()
        return moment(await self.value("now", {}))  # type: ignore[no-any-return]


async def _named(cursor: AsyncCursor[Any]) -> list[Row]:
    rows = await cursor.fetchall()
    columns = [column.name for column in cursor.description or ()]
    return [SimpleNamespace(**dict(zip(columns, row, strict=True))) for row in rows]
