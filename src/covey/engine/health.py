"""Health: pings the far side of each lane while work waits there, and holds the lane while it takes nothing."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import structlog

from covey.domain.clock import Clock
from covey.engine.hints import Hints
from covey.engine.runner import Runner
from covey.loop import Loop
from covey.store.ports import Lanes

log = structlog.get_logger(__name__)

PING_SECONDS = 5.0
HOLD = timedelta(seconds=12)
"""How long one failed ping holds a lane: longer than it takes until the next."""


class Health(Loop):
    """One ping of every lane, every few seconds."""

    name = "health"
    seconds = PING_SECONDS

    def __init__(self, store: Lanes, clock: Clock, hints: Hints, runners: Mapping[str, Runner]) -> None:
        """`runners` are the runners by lane."""
        self._store = store
        self._clock = clock
        self._hints = hints
        self._runners = runners
        self._down: set[str] = set()
        self._told: set[str] = set()

    async def round(self) -> None:
        """Ping every lane once."""
        await asyncio.gather(*(self._check(lane, runner) for lane, runner in self._runners.items()))

    async def _check(self, lane: str, runner: Runner) -> None:
        wrong = await self._ping(lane, runner)
        if wrong is not None:
            self._down.add(lane)
            await self._store.open_lane(lane, self._clock.now() + HOLD, wrong)
        elif lane in self._down:
            self._down.discard(lane)
            await self._store.close_lane(lane)
            self._hints.work(lane)
        await self._tell(lane)

    async def _tell(self, lane: str) -> None:
        """Say once in the log that a lane is held, whoever held it, and once that it goes on."""
        status = await self._store.lane(lane)
        held = status is not None and status.open_until is not None
        if status is not None and held and lane not in self._told:
            log.warning("a lane is held: nothing of it starts", lane=lane, why=status.open_reason)
            self._told.add(lane)
        elif not held and lane in self._told:
            log.info("a lane goes on", lane=lane)
            self._told.discard(lane)

    @staticmethod
    async def _ping(lane: str, runner: Runner) -> str | None:
        """What is wrong with a lane; a ping that hangs or crashes must not keep the others from being made."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                return await runner.ping(lane)
        except TimeoutError:
            return f"no answer within {PING_SECONDS:.0f} s"
        except Exception as error:
            log.exception("a ping crashed", lane=lane)
            return f"the ping crashed ({type(error).__name__})"
