"""The sweeper: expiry, drafts of dead processes, retention, leftovers. Small pieces, again and again."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

import structlog

from covey.domain.clock import Clock
from covey.engine.hints import Hints
from covey.engine.loop import Loop
from covey.store.ports import Upkeep

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0

STRANDED = timedelta(hours=1)
"""So long after it was due a batch whose lane is gone is stopped."""

PIECES = 20
"""How many pieces of one kind a round removes at most, so that it never holds the writer for long."""


class Sweeper(Loop):
    """One round a second."""

    name = "sweeper"
    seconds = SWEEP_SECONDS

    def __init__(
        self,
        store: Upkeep,
        clock: Clock,
        hints: Hints,
        worker: str,
        lanes: Sequence[str] | None,
        retention: Mapping[str, timedelta | None],
        forget_files: Callable[[str], Awaitable[None]],
    ) -> None:
        """`lanes` are all there are, None where other processes may have others; `retention` is how long ended batches
        of a kind are kept (None: until deleted); `forget_files` removes the files of a batch that is gone."""
        self._store = store
        self._clock = clock
        self._hints = hints
        self._worker = worker
        self._lanes = lanes
        self._began = clock.now()
        self._retention = retention
        self._forget_files = forget_files

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
        for kind, keep in self._retention.items():
            if keep is not None:
                await self._store.retire_batches(kind, self._clock.now() - keep)
        await self._stop_stranded()
        for _ in range(PIECES):
            for batch in await self._store.sweep_erased():
                await self._forget(batch)
        await self._store.sweep_leftovers()

    async def _forget(self, batch: str) -> None:
        """Files that cannot be removed must not keep all else from being swept."""
        try:
            await self._forget_files(batch)
        except Exception:
            log.exception("the files of an erased batch stay", batch=batch)
