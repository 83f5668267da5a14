"""Money and use: what succeeded items cost, what a batch may still start, and what is written down of both."""

import functools
from dataclasses import dataclass
from datetime import date
from typing import Any

from covey.domain.run import End
from covey.domain.usage import Prices, Units, UsageLine
from covey.store.operations.rows import LockedRow
from covey.store.operations.transaction import EPOCH, Database, load

_DAY = 86_400_000_000
_FIRST_DAY = EPOCH.toordinal()


@dataclass(slots=True)
class Used:
    """What the items of one batch used that succeeded in one operation. `micros` are millionths of a second, so that
    sums are the same in any order."""

    items: int = 0
    micros: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: int = 0

    def add(self, end: End, cost: int) -> None:
        """One more item."""
        self.items += 1
        self.micros += round(end.charged * 1_000_000)
        self.cost += cost
        if end.tokens_in or end.tokens_out:
            self.tokens_in += end.tokens_in
            self.tokens_out += end.tokens_out

    def line(self, row: LockedRow, now: int) -> tuple[Any, ...]:
        """A row of `usage_add` about the batch of `row`."""
        day = now // _DAY
        sums = (self.items, self.micros, self.tokens_in, self.tokens_out, self.cost)
        return (row.workspace, day, row.id, row.actor, row.kind, *sums)


def affordable(row: LockedRow) -> int | None:
    """How many more runs the batch of `row` can pay for, beside those that are active; None if nothing limits that."""
    if row.max_cost is None or not row.run_cost:
        return None
    return int((row.max_cost - row.spent) // row.run_cost - row.active)


def cost_of(row: LockedRow, end: End) -> int:
    """What an item of the batch of `row`, which has prices, costs that succeeded so. Its run is active no more: what
    is left beside what is reserved for others is the most, so that not even late truth can cost more than the batch
    may."""
    cost = _prices(row.prices).cost(Units(end.charged, end.tokens_in, end.tokens_out))
    if row.max_cost is None:
        return cost
    left = int(row.max_cost - row.spent - row.active * row.run_cost)
    return max(0, min(cost, int(row.run_cost), left))


@functools.lru_cache(maxsize=256)
def _prices(stored: str) -> Prices:
    return Prices(**load(stored))


async def usage(
    database: Database,
    workspace: str,
    since: date,
    until: date,
    *,
    day: bool = False,
    batch: bool = False,
    key: bool = False,
) -> list[UsageLine]:
    """What succeeded from `since` to `until` (both included, UTC), summed over what is not asked to be apart."""
    days = {"since": since.toordinal() - _FIRST_DAY, "until": until.toordinal() - _FIRST_DAY}
    apart = {"by_day": int(day), "by_batch": int(batch), "by_key": int(key)}
    return [
        UsageLine(
            kind=row.kind,
            day=None if row.on_day is None else date.fromordinal(_FIRST_DAY + row.on_day),
            batch=None if row.of_batch is None else row.of_batch.hex(),
            key=row.by_whom,
            items=row.items,
            seconds=row.micros / 1_000_000,
            tokens_in=row.tokens_in,
            tokens_out=row.tokens_out,
            cost=row.cost,
        )
        for row in await database.named("usage_sum", {"workspace": workspace, **days, **apart})
    ]
