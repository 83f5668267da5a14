"""The keeper: moves recordings that a crash left behind, and removes those that are old enough."""

import asyncio
from datetime import timedelta

import structlog

from covey.calls.recordings import Recordings
from covey.domain.clock import Clock

log = structlog.get_logger(__name__)

ROUND_SECONDS = 3600.0


class Keeper:
    """One round an hour."""

    def __init__(self, recordings: Recordings, clock: Clock, keep: timedelta | None) -> None:
        """`keep` is how long recordings are kept; None: until they are deleted."""
        self._recordings = recordings
        self._clock = clock
        self._keep = keep
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the loop. What lies in the spool now was left by a process that is gone."""
        self._task = asyncio.create_task(self._loop(), name="keeper")

    async def stop(self) -> None:
        """End the loop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _loop(self) -> None:
        await self._recordings.keep_leftovers()
        while True:
            try:
                await self.round()
            except Exception:
                log.exception("old recordings could not be removed; the next round tries again")
            await asyncio.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """Remove what is old enough."""
        if self._keep is not None:
            removed = await self._recordings.forget_before(self._clock.now() - self._keep)
            if removed:
                log.info("old recordings were removed", recordings=removed)
