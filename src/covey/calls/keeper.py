"""The keeper: moves recordings that a crash left behind, and removes those that are old enough."""

from datetime import timedelta
from typing import ClassVar

import structlog

from covey.calls.recordings import Recordings, There
from covey.domain.clock import Clock
from covey.loop import Loop

log = structlog.get_logger(__name__)


class Keeper(Loop):
    """One round an hour."""

    name: ClassVar[str] = "keeper"
    seconds: ClassVar[float] = 3600.0

    def __init__(self, recordings: Recordings, clock: Clock, keep: timedelta | None, there: There) -> None:
        """`keep` is how long recordings are kept (None: until they are deleted), `there` says which batches are."""
        self._recordings = recordings
        self._clock = clock
        self._keep = keep
        self._there = there

    async def round(self) -> None:
        """Remove what is old enough."""
        if self._keep is not None:
            removed = await self._recordings.forget_before(self._clock.now() - self._keep)
            if removed:
                log.info("old recordings were removed", recordings=removed)

    async def _loop(self) -> None:
        """What lies in the spool at the start was left by a process that is gone."""
        await self._recordings.keep_leftovers(self._there)
        await super()._loop()
