"""What an operation needs of a database: named statements inside one transaction. And how values cross the seam.

A statement's file stands in the `sql` folder of each database, under the same name and with the same parameters.
Times cross as microseconds since 1970, ids as 12 bytes, JSON as UTF-8.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson

from covey.domain.ids import is_id
from covey.domain.run import Json

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Params = Mapping[str, Any]
Values = Sequence[tuple[Any, ...]]
"""Rows of parameters, each in the order in which the statement first names them."""

Row = Any
"""A row whose columns are attributes."""


class Database(Protocol):
    """One transaction. `name` is a statement's."""

    async def rows(self, name: str, params: Params) -> list[tuple[Any, ...]]:
        """All rows."""
        ...

    async def named(self, name: str, params: Params) -> list[Row]:
        """All rows, their columns as attributes that may be set."""
        ...

    async def row(self, name: str, params: Params) -> Row | None:
        """The first row; None if there is none."""
        ...

    async def value(self, name: str, params: Params) -> Any:
        """The first column of the first row; None if there is none."""
        ...

    async def run(self, name: str, params: Params) -> int:
        """How many rows it changed."""
        ...

    async def write(self, name: str, params: Params) -> None:
        """Like `run`, where nobody asks how many."""
        ...

    async def many(self, name: str, values: Values) -> None:
        """Execute it once for each of `values`."""
        ...

    async def each(self, name: str, values: Values) -> list[tuple[Any, ...]]:
        """The rows that it finds for each of `values`, in any order."""
        ...

    async def each_named(self, name: str, values: Values) -> list[Row]:
        """Like `each`, columns as attributes that may be set."""
        ...

    async def append(self, name: str, values: Values) -> None:
        """Like `many`, for very many new rows."""
        ...

    def array(self, values: Sequence[str] | Sequence[int]) -> Any:
        """A parameter that stands for all of `values`."""
        ...

    async def end_after(self, seconds: float) -> None:
        """End what follows when it takes longer, with Unavailable. Only for what looks and writes nothing."""
        ...

    async def lock(self, name: str, params: Params) -> None:
        """Wait until nobody else changes these rows. Nothing to do where one process owns the database."""
        ...

    async def alone(self, name: str) -> bool:
        """Whether no other transaction is at work that asked the same; holds until this one ends."""
        ...

    async def tell(self, what: str) -> None:
        """Tell every process, once this is committed; see `covey.engine.wakeups`."""
        ...

    async def now(self) -> datetime:
        """The database's time at this moment, after every lock it waited for."""
        ...


async def pass_gate(database: Database, lane: str) -> None:
    """Queue before a lane. Claims and finishes hold batches and lanes for longer than others: of them only one at a
    time is behind the gate, so that a stop, which does not queue here, waits for one of them at most. And who chooses
    behind the gate sees what the one before chose."""
    await database.lock("lock_admission", {"lane": lane})


async def pass_gates_of(database: Database, batches: Sequence[bytes]) -> None:
    """Queue before the lanes of batches."""
    await database.lock("lock_admissions_of", {"batches": list(batches)})


async def lock(database: Database, batches: Sequence[bytes], *, lanes: bool = False) -> datetime:
    """Lock batches, and with `lanes` their lanes, in the one order that everybody keeps; the time after that.

    What was read before is to be read again. Who asks for lanes has passed their gate.
    """
    # Batches before lanes, each by id: whoever took them in another order could wait for another for ever.
    asked = {"batches": sorted(batches)}
    await database.lock("lock_batches", asked)
    if lanes:
        await database.lock("lock_lanes_of", asked)
    return await database.now()


def micros(at: datetime | None) -> Any:
    """A time as it is stored: microseconds since 1970, None for None."""
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


def text(value: Json | Sequence[Any]) -> str:
    """JSON as text."""
    return orjson.dumps(value).decode()


def load(stored: bytes | str) -> Any:
    """Stored JSON as Python values."""
    return orjson.loads(stored)


def key(batch: str) -> bytes:
    """A batch's id as it is stored; for a malformed one, a key that nothing has."""
    return bytes.fromhex(batch) if is_id(batch) else b""
