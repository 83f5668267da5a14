"""Backs off from a lane whose runs keep coming back unstarted, because its runner cannot start any."""

from collections.abc import Callable, Iterable
from datetime import timedelta

import structlog

from covey.domain.clock import Clock
from covey.domain.run import NOT_STARTED, Outcome, Returned
from covey.engine.runner import Run
from covey.store.store import Lanes, Liveness, Store

log = structlog.get_logger(__name__)

FRUITLESS_GENERATIONS = 20
"""Back off once so many generations in a row came back unstarted."""

MORE_GENERATIONS = 2
"""After a rest, so many more of them mean that it is no better."""

FIRST_REST = 2.0
LONGEST_REST = 60.0
"""Seconds. Each rest is twice as long as the one before, until something starts."""


async def alone(store: Liveness, worker: str) -> bool:
    """Whether nobody but `worker` is at work on this database."""
    return not any(one.alive and one.id != worker for one in await store.workers())


class LaneHold:
    """One worker's hold on a lane: nobody claims anything there while it lasts, and `holding` says why."""

    def __init__(self, store: Lanes, clock: Clock, lane: str) -> None:
        self._store = store
        self._clock = clock
        self._lane = lane
        self._reason: str | None = None

    async def hold(self, why: str, seconds: float) -> None:
        """Hold the lane for so long, from now on."""
        self._reason = why
        await self._store.open_lane(self._lane, self._clock.now() + timedelta(seconds=seconds), why)

    async def release(self) -> None:
        """Let the lane go on, unless it is held for another reason by now."""
        if self._reason is None:
            return
        status = await self._store.lane(self._lane)
        if status is not None and status.open_reason == self._reason:
            await self._store.close_lane(self._lane)
        self._reason = None


class Backoff:
    """Prevents a loop of claims and requeues in one dispatcher, and reports it.

    A worker that cannot start runs rests. It holds the lane, for all to see why, only if it is the only worker on the
    database: beside others the cause may be its own, and they may do well.

    A generation is the runs that are claimed until one of them comes back unstarted. Runs that were claimed together
    come back together, and count once.
    """

    def __init__(self, store: Store, clock: Clock, worker: str, lane: str, latest_start: Callable[[], float]) -> None:
        """`latest_start` says when a run of the lane was last started here, in seconds of the monotonic clock."""
        self._store = store
        self._clock = clock
        self._worker = worker
        self._lane = lane
        self._latest_start = latest_start
        self.generation = 0
        """The generation of the runs that are claimed now."""
        self._fruitless = 0
        """How many generations in a row came back unstarted."""
        self._at = float("-inf")
        self._rest = 0.0
        self._until = float("-inf")
        self._hold = LaneHold(store, clock, lane)

    def rest(self, seconds: float) -> None:
        """Claim nothing for so long (0: go on)."""
        self._until = self._clock.monotonic() + seconds

    def capacity(self, free: int, in_hand: Iterable[Run]) -> int:
        """How much may be claimed where there is room for `free`: nothing in a rest, one that tries after it."""
        if self._clock.monotonic() < self._until:
            return 0
        return free if not self._rest else min(free, 1 - sum(run.started is None for run in in_hand))

    async def came_back(self, outcome: Outcome, generation: int) -> None:
        """A run that was claimed in `generation` came to `outcome`."""
        if not isinstance(outcome, Returned) or outcome.code != NOT_STARTED:
            self._fruitless, self._rest = 0, 0.0
            return
        if generation < self.generation:
            return
        self.generation += 1
        if self._latest_start() > self._at:
            self._fruitless, self._rest = 0, 0.0
        self._fruitless += 1
        self._at = self._clock.monotonic()
        if self._fruitless >= FRUITLESS_GENERATIONS:
            self._fruitless = FRUITLESS_GENERATIONS - MORE_GENERATIONS
            await self._begin(outcome.message or "nothing can be started")

    async def _begin(self, why: str) -> None:
        self._rest = min(2 * self._rest or FIRST_REST, LONGEST_REST)
        log.error("nothing_starts", lane=self._lane, why=why, rest=self._rest)
        try:
            by_itself = await alone(self._store, self._worker)
            if by_itself:
                await self._hold.hold(why, self._rest)
        except Exception:
            log.exception("lane_not_held", lane=self._lane)
            by_itself = False
        if not by_itself:
            self.rest(self._rest)

    async def look(self) -> None:
        """Stop backing off once something has started. The lane is opened then, and not only when that run ends, which
        may be hours away."""
        if not self._rest or self._latest_start() <= self._at:
            return
        self._fruitless, self._rest = 0, 0.0
        await self._hold.release()
