"""The breakers of lanes, read under their lanes' locks and written back when they changed."""

from collections.abc import Iterable
from dataclasses import dataclass

from covey.domain.breaker import Breaker
from covey.store.operations.outbox import record_holding
from covey.store.operations.rows import LaneRow
from covey.store.operations.transaction import Database, micros, moment


@dataclass(slots=True)
class LaneBreaker:
    """A lane's breaker while an operation changes it."""

    lane: str
    before: Breaker
    now: Breaker

    def worked_since(self, at: int) -> bool:
        """Whether the lane proved that it works after a moment (microseconds)."""
        return self.now.worked_at is not None and micros(self.now.worked_at) > at


async def read_breakers(database: Database, lanes: Iterable[str]) -> dict[str, LaneBreaker]:
    """The breakers of these lanes; a closed one for a lane that there is not."""
    found = {}
    for lane in sorted(set(lanes)):
        row = await database.row("lane_row", {"lane": lane})
        kept = Breaker() if row is None else _breaker(row)
        found[lane] = LaneBreaker(lane, kept, kept)
    return found


def _breaker(row: LaneRow) -> Breaker:
    return Breaker(
        open_until=moment(row.open_until),
        reason=row.open_reason,
        since=moment(row.open_since),
        opens=row.opens,
        probe=row.probe,
        streak_code=row.streak_code,
        streak_items=tuple(row.streak_items.split()),
        alike=row.alike,
        worked_at=moment(row.worked_at),
    )


async def save_breakers(database: Database, breakers: Iterable[LaneBreaker]) -> None:
    """Write those that changed, after the batches they were changed by: of one that has opened is told."""
    for lane in breakers:
        if lane.now is not lane.before and lane.now != lane.before:
            await write_breaker(database, lane.lane, lane.now)
            if lane.before.since is None and lane.now.since is not None:
                await record_holding(database, lane.lane, lane.now.since, lane.now.reason)


async def write_breaker(database: Database, lane: str, breaker: Breaker) -> None:
    """Write a lane's breaker."""
    await database.write(
        "limit_breaker",
        {
            "lane": lane,
            "open_until": micros(breaker.open_until),
            "open_reason": breaker.reason,
            "open_since": micros(breaker.since),
            "opens": breaker.opens,
            "probe": breaker.probe,
            "streak_code": breaker.streak_code,
            "streak_items": " ".join(breaker.streak_items),
            "alike": breaker.alike,
            "worked_at": micros(breaker.worked_at),
        },
    )
