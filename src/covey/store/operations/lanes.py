"""Lanes, and what is in the hands of workers."""

from collections.abc import Sequence
from datetime import datetime

from covey.domain.breaker import FRESH
from covey.domain.lane import Lane, LaneStatus
from covey.domain.run import Progress
from covey.store.operations.breakers import write_breaker
from covey.store.operations.outbox import record_holding
from covey.store.operations.rows import LaneRow
from covey.store.operations.transaction import Database, key, micros, moment
from covey.store.results import Dropped


async def in_hand(database: Database, worker: str) -> list[tuple[str, int, int]]:
    """The runs (batch, seq, attempt) that the store believes in the worker's hands."""
    return [(batch.hex(), seq, attempt) for batch, seq, attempt in await database.rows("in_hand", {"worker": worker})]


async def advance(database: Database, worker: str, progress: Sequence[Progress]) -> None:
    """Write down how far runs are. One that is not in the worker's hands any more stays as it is."""
    rows = [(one.done, one.whole, key(one.batch), one.seq, one.attempt, worker) for one in progress]
    await database.many("live_advance", rows)


async def to_drop(database: Database, worker: str) -> list[Dropped]:
    """The worker's active runs that it is to drop."""
    return [
        Dropped(batch.hex(), seq, attempt, reason)
        for batch, seq, attempt, reason in await database.rows("to_drop", {"worker": worker})
    ]


async def put_lane(database: Database, lane: Lane) -> None:
    """Create a lane or change its limits."""
    await database.write("lane_put", {"lane": lane.name, "cap": lane.cap, "pace": lane.pace})


async def lane(database: Database, name: str) -> LaneStatus | None:
    """A lane as it is now. Raises NotFound."""
    row = await database.row("lane_row", {"lane": name})
    return None if row is None else _status(row)


async def lanes(database: Database) -> list[LaneStatus]:
    """All lanes, by name."""
    return [_status(row) for row in await database.named("lanes", {})]


def _status(row: LaneRow) -> LaneStatus:
    return LaneStatus(
        name=row.lane,
        cap=row.cap,
        pace=row.pace,
        active=row.active,
        open_until=moment(row.open_until),
        open_reason=row.open_reason,
        open_since=moment(row.open_since),
        worked_at=moment(row.worked_at),
    )


async def open_lane(database: Database, name: str, until: datetime, reason: str) -> None:
    """Open a lane's breaker: nothing starts on it until `until`, then one probe at a time."""
    await database.lock("lock_lanes", {"lanes": [name]})
    now = await database.now()
    before = await database.row("lane_row", {"lane": name})
    await database.write("lane_open", {"lane": name, "until": micros(until), "reason": reason, "now": micros(now)})
    if before is not None and before.open_since is None:
        await record_holding(database, name, now, reason)


async def close_lane(database: Database, name: str) -> None:
    """Close a lane's breaker."""
    await write_breaker(database, name, FRESH)
