"""The breaker of a lane: one answer never proves whether the lane or the item is to blame, five alike in a row do.

While it is open nothing starts; when its time is over one item at a time probes the lane, and each probe that fails
keeps it closed to others for longer.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from covey.domain.lane import BREAKER_ANSWERS, BREAKER_ITEMS, HOPELESS_PROBES, open_for
from covey.domain.run import Aborted, Blame, Failed, Outcome, Retry, Returned, Succeeded


@dataclass(frozen=True, slots=True)
class Breaker:
    """A breaker's memory.

    `probe` is the item that tries while it is half open; `streak_items` are the different items that failed with
    `streak_code` since the last success, `alike` how many of their runs were returned; `opens` counts how often it
    opened in a row; `worked_at` is when the lane last proved that it works.
    """

    open_until: datetime | None = None
    reason: str | None = None
    since: datetime | None = None
    opens: int = 0
    probe: str | None = None
    streak_code: str | None = None
    streak_items: tuple[str, ...] = ()
    alike: int = 0
    worked_at: datetime | None = None

    @property
    def closed(self) -> bool:
        return self.open_until is None

    @property
    def hopeless(self) -> bool:
        """So many probes failed that a person has to look."""
        return self.opens > HOPELESS_PROBES

    def after(self, item: str, outcome: Outcome, now: datetime) -> "Breaker":
        """The breaker after `item` came to `outcome`."""
        match blame(outcome):
            case Blame.item:
                return self if self == (fresh := Breaker(worked_at=now)) else fresh
            case Blame.nothing:
                return replace(self, open_until=now, probe=None) if item == self.probe else self
            case Blame.either:
                return self._failed(item, outcome, now)
            case other:
                assert_never(other)

    def _failed(self, item: str, outcome: Outcome, now: datetime) -> "Breaker":
        code = outcome_code(outcome)
        same = code == self.streak_code
        items = self.streak_items if same else ()
        if item not in items and len(items) < BREAKER_ITEMS:
            items = (*items, item)
        alike = (self.alike if same else 0) + isinstance(outcome, Returned)
        grown = replace(self, streak_code=code, streak_items=items, alike=alike)
        probing = item == self.probe
        enough = len(items) >= BREAKER_ITEMS or alike >= BREAKER_ANSWERS
        if not probing and (not self.closed or not enough):
            return grown
        opens = self.opens + 1
        return replace(
            grown, opens=opens, open_until=now + open_for(opens), reason=code, since=self.since or now, probe=None
        )


FRESH = Breaker()
"""A closed breaker that remembers nothing."""


def blame(outcome: Outcome) -> Blame:
    """What an outcome tells about the lane it ran on."""
    match outcome:
        case Succeeded():
            return Blame.item
        case Retry():
            return blame(outcome.otherwise)
        case Failed() | Returned():
            return outcome.blame
        case Aborted():
            return Blame.nothing
        case _:
            assert_never(outcome)


def outcome_code(outcome: Outcome) -> str:
    """The code an outcome goes by."""
    return outcome.otherwise.code if isinstance(outcome, Retry) else outcome.code
