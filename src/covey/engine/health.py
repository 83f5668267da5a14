"""Health: pings the far side of each lane while work waits there, and holds the lane while it takes nothing.

If other workers still reach the far side, only this process stops claiming.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import structlog

from covey.domain.clock import Clock
from covey.engine.lane_backoff import LaneHold
from covey.engine.runner import Runner
from covey.engine.wakeups import Wakeups
from covey.engine.worker import Worker
from covey.loop import Loop
from covey.store.store import Lanes

log = structlog.get_logger(__name__)

PING_SECONDS = 5.0
HOLD_SECONDS = 12.0
"""How long one failed ping holds a lane: longer than it takes until the next."""

WORKED = timedelta(seconds=15)
"""A lane that worked so lately works: who cannot reach its far side is alone with that."""


class LaneHealth(Loop):
    """One ping of every lane, every few seconds."""

    name = "health"
    seconds = PING_SECONDS

    def __init__(
        self, store: Lanes, clock: Clock, wakeups: Wakeups, runners: Mapping[str, Runner], worker: Worker
    ) -> None:
        """`runners` are the runners by lane; `worker` is the one that has them."""
        self._store = store
        self._worker = worker
        self._clock = clock
        self._wakeups = wakeups
        self._runners = runners
        self._down: set[str] = set()
        self._holds = {lane: LaneHold(store, clock, lane) for lane in runners}
        self._announced: set[str] = set()

    async def round(self) -> None:
        """Ping every lane once."""
        await asyncio.gather(*(self._check(lane, runner) for lane, runner in self._runners.items()))

    async def _check(self, lane: str, runner: Runner) -> None:
        wrong = await self._ping(lane, runner)
        if wrong is not None:
            await self._fails(lane, wrong)
        elif lane in self._down:
            self._down.discard(lane)
            self._worker.rest(lane, 0.0)
            await self._holds[lane].release()
            self._wakeups.work(lane)
        await self._tell(lane)

    async def _fails(self, lane: str, wrong: str) -> None:
        """The lane's far side was not reached: nothing is claimed here, and by nobody unless it works for others."""
        self._worker.rest(lane, HOLD_SECONDS)
        if not await self._works_for_others(lane):
            await self._holds[lane].hold(wrong, HOLD_SECONDS)
        elif lane not in self._down:
            log.error("lane_unreachable_from_here", lane=lane, why=wrong)
        self._down.add(lane)

    async def _works_for_others(self, lane: str) -> bool:
        status = await self._store.lane(lane)
        if status is None or status.worked_at is None or self._clock.now() - status.worked_at > WORKED:
            return False
        return not await self._worker.alone()

    async def _tell(self, lane: str) -> None:
        """Log once that a lane is held, by whichever worker, and once that it goes on."""
        status = await self._store.lane(lane)
        held = status is not None and status.open_until is not None
        if status is not None and held and lane not in self._announced:
            log.warning("lane_held", lane=lane, why=status.open_reason)
            self._announced.add(lane)
        elif not held and lane in self._announced:
            log.info("lane_resumed", lane=lane)
            self._announced.discard(lane)

    @staticmethod
    async def _ping(lane: str, runner: Runner) -> str | None:
        """What is wrong with a lane; a ping that hangs or crashes must not keep the others from being made."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                return await runner.ping(lane)
        except TimeoutError:
            return f"no answer within {PING_SECONDS:.0f} s"
        except Exception as error:
            log.exception("ping_failed", lane=lane)
            return f"the ping crashed ({type(error).__name__})"
