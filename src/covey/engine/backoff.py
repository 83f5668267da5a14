"""A standstill: time after time the runs of a lane come back unstarted, as its runner cannot start any."""

from collections.abc import Callable, Iterable
from datetime import timedelta

import structlog

from covey.domain.clock import Clock
from covey.domain.run import NOT_STARTED, Outcome, Returned
from covey.engine.runner import Run
from covey.store.store import Liveness, Store

log = structlog.get_logger(__name__)

LAPS = 20
"""So many times in a row runs came back, were claimed again and came back: that is a standstill."""

MORE_LAPS = 2
"""So many more, after a rest, are one still."""

FIRST_REST = 2.0
LONGEST_REST = 60.0
"""How many seconds one lasts: twice as long each time, until something starts."""


async def alone(store: Liveness, worker: str) -> bool:
    """Whether nobody but `worker` is at work on this database."""
    return not any(one.alive and one.id != worker for one in await store.workers())


class Backoff:
    """Counts the laps of one dispatcher, and has it rest: otherwise its runs would go round and round with nobody told.

    Alone on the database, a worker holds the lane, which says why. Beside others it only rests itself: what keeps it
    from starting anything may be its own, and they may do well.
    """

    def __init__(self, store: Store, clock: Clock, worker: str, lane: str, latest_start: Callable[[], float]) -> None:
        """`latest_start` says when a run of the lane was last started here, in seconds of the monotonic clock."""
        self._store = store
        self._clock = clock
        self._worker = worker
        self._lane = lane
        self._latest_start = latest_start
        self.lap = 0
        """The lap in which runs are claimed now: those that were claimed together come back as one."""
        self._laps = 0
        self._at = float("-inf")
        self._rest = 0.0
        self._until = float("-inf")
        self._hold_reason: str | None = None
        """Why this worker holds its lane."""

    def rest(self, seconds: float) -> None:
        """Claim nothing for so long (0: go on)."""
        self._until = self._clock.monotonic() + seconds

    def capacity(self, free: int, in_hand: Iterable[Run]) -> int:
        """How much may be claimed where there is room for `free`: nothing in a rest, one that tries after it."""
        if self._clock.monotonic() < self._until:
            return 0
        return free if not self._rest else min(free, 1 - sum(run.started is None for run in in_hand))

    async def came_back(self, outcome: Outcome, lap: int) -> None:
        """A run that was claimed in `lap` came to `outcome`."""
        if not isinstance(outcome, Returned) or outcome.code != NOT_STARTED:
            self._laps, self._rest = 0, 0.0
            return
        if lap < self.lap:
            return
        self.lap += 1
        if self._latest_start() > self._at:
            self._laps, self._rest = 0, 0.0
        self._laps += 1
        self._at = self._clock.monotonic()
        if self._laps >= LAPS:
            self._laps = LAPS - MORE_LAPS
            await self._begin(outcome.message or "nothing can be started")

    async def _begin(self, why: str) -> None:
        self._rest = min(2 * self._rest or FIRST_REST, LONGEST_REST)
        log.error("nothing_starts", lane=self._lane, why=why, rest=self._rest)
        try:
            by_itself = await alone(self._store, self._worker)
            if by_itself:
                self._hold_reason = why
                await self._store.open_lane(self._lane, self._clock.now() + timedelta(seconds=self._rest), why)
        except Exception:
            log.exception("lane_not_held", lane=self._lane)
            by_itself = False
        if not by_itself:
            self.rest(self._rest)

    async def look(self) -> None:
        """Once something has started the standstill is over. Open the lane then: that run's end may be far away."""
        if not self._rest or self._latest_start() <= self._at:
            return
        self._laps, self._rest = 0, 0.0
        if self._hold_reason is not None:
            status = await self._store.lane(self._lane)
            if status is not None and status.open_reason == self._hold_reason:
                await self._store.close_lane(self._lane)
            self._hold_reason = None
