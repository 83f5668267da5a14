"""A lane: what a batch runs on, with its limits, its start times and its breaker."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

SPACING = 1.06
"""Starts are this much further apart than the pace asks, so that small delays never put one too many in a second."""

START_HORIZON = timedelta(milliseconds=300)
"""How far ahead a claim hands out start times."""

BREAKER_ITEMS = 5
"""So many different items that fail alike in a row, with no success between, open the breaker."""

BREAKER_ANSWERS = 10
"""So many returns alike in a row open it too, however few items they were of: a small batch on a dead lane."""

BATCH_STREAK = 30
"""So many items of a batch that end with one code in a row pause it."""

PATIENCE_CODES = frozenset({"busy", "no_answer"})
"""Codes that say nothing about a lane or a list, however often they come."""

OWN_CODES = frozenset({"outcome_unknown", "worker_lost", "interrupted"})
"""Codes of runs that Covey itself cut off: a crash or a restart with many runs in hand must not pause their batch."""

HOPELESS_PROBES = 4
"""So many failed probes in a row pause the batch whose item was the last of them."""

START_LEAD = timedelta(milliseconds=150)
"""A paced start is handed out this long ahead at least, so that what it needs is ready when its moment comes."""

START_SLACK = timedelta(milliseconds=60)
"""A paced start that is later than this does not happen: with the spacing above, no second sees one too many."""

_FIRST_OPEN = timedelta(seconds=1)
LONGEST_OPEN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane's settings: `cap` is the most active at once, `pace` the most starts in any second (None: no limit)."""

    name: str
    cap: int
    pace: float | None = None


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """A lane as it is now. `open_until` is set while its breaker is open. `open_reason` says why: the code that its
    items failed with, or the sentence of a ping or of what could not be started."""

    name: str
    cap: int
    pace: float | None
    active: int
    open_until: datetime | None
    open_reason: str | None
    open_since: datetime | None
    worked_at: datetime | None = None
    """When it last proved that it works."""


def gap(pace: float | None) -> timedelta:
    """The time between two starts at `pace` starts a second; nothing without a pace."""
    return timedelta(seconds=SPACING / pace) if pace else timedelta(0)


def next_free(free: datetime | None, pace: float | None, now: datetime) -> datetime | None:
    """A lane's next free moment as it is kept; one that lies further ahead than any claim puts it was written by a
    clock that has been set back since."""
    return None if free is None else min(free, now + START_HORIZON + gap(pace))


def start_times(now: datetime, *paces: tuple[datetime | None, timedelta]) -> Iterator[datetime]:
    """The free start times until `now + START_HORIZON`, each pace given as (next free moment, gap).

    Every pace is kept: the first start comes when all are free, each further one a whole gap of each later.
    """
    step = max((space for _, space in paces), default=timedelta(0))
    at = max([now + START_LEAD if step else now, *(free for free, _ in paces if free)])
    while at <= now + START_HORIZON:
        yield at
        at += step


def open_for(times: int) -> timedelta:
    """How long the breaker stays open when it opens for the `times`-th time in a row (1-based)."""
    factor: int = 2 ** min(times - 1, 10)
    return min(_FIRST_OPEN * factor, LONGEST_OPEN)
