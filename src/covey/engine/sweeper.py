"""The sweeper: expiry, drafts of dead processes, retention, leftovers. Small pieces, again and again."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol

import structlog

from covey.domain.clock import Clock
from covey.domain.webhook import DELIVERIES_KEPT
from covey.engine.hints import Hints
from covey.loop import Loop
from covey.store.ports import Upkeep, Webhooks

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0

STRANDED = timedelta(hours=1)
"""So long after it was due a batch whose lane is gone is stopped."""

PIECES = 20
"""How many pieces of one kind a round removes at most, so that it never holds the writer for long."""


class Swept(Upkeep, Webhooks, Protocol):
    """What there is to sweep."""


class Sweeper(Loop):
    """One round a second."""

    name = "sweeper"
    seconds = SWEEP_SECONDS

    def __init__(
        self,
        store: Swept,
        clock: Clock,
        hints: Hints,
        worker: str,
        lanes: Sequence[str] | None,
        forget_files: Callable[[str], Awaitable[None]],
        deliveries_kept: timedelta = DELIVERIES_KEPT,
    ) -> None:
        """`lanes` are all there are, None where other processes may have others; `forget_files` removes the files of a
        batch that is gone; `deliveries_kept` is how long deliveries are kept after their end."""
        self._store = store
        self._clock = clock
        self._hints = hints
        self._worker = worker
        self._lanes = lanes
        self._began = clock.now()
        self._forget_files = forget_files
        self._deliveries_kept = deliveries_kept

    async def _stop_stranded(self) -> None:
        """Stop batches whose lane is gone; not before an hour of this process, as a restart may bring it back."""
        now = self._clock.now()
        if self._lanes is None or now - self._began < STRANDED:
            return
        if await self._store.stop_stranded(self._lanes, now - STRANDED):
            log.error("batches were stopped whose lane is gone")

    async def round(self) -> None:
        """Do what is due, a few pieces of each."""
        if await self._store.expire():
            self._hints.drop()
        await self._store.sweep_drafts(self._worker)
        await self._store.retire_batches()
        await self._stop_stranded()
        for _ in range(PIECES):
            for batch in await self._store.sweep_erased():
                await self._forget(batch)
        await self._store.sweep_leftovers()
        await self._store.sweep_deliveries(self._clock.now() - self._deliveries_kept)

    async def _forget(self, batch: str) -> None:
        """Files that cannot be removed must not keep all else from being swept."""
        try:
            await self._forget_files(batch)
        except Exception:
            log.exception("the files of an erased batch stay", batch=batch)
