"""The sweeper: expiry, drafts of dead processes, retention, leftovers. Small pieces, again and again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog

from covey.domain.clock import Clock
from covey.domain.webhook import DELIVERIES_KEPT
from covey.engine.wakeups import Wakeups
from covey.loop import Loop
from covey.store.store import Store, Upkeep

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0

STRANDED = timedelta(hours=1)
"""So long after it was due a batch whose lane is gone is stopped."""

PIECES = 20
"""How many pieces of one kind a round removes at most, so that it never holds the writer for long."""


FILES_SECONDS = 1.0
"""So long a round waits for a batch's files to be removed: a bucket that hangs must not keep all else from its time."""

FILES_AGAIN_SECONDS = 60.0
"""So long it takes at least until files that could not be removed are tried again, and until that is logged again."""


class Sweeper(Loop):
    """One round a second."""

    name = "sweeper"
    seconds = SWEEP_SECONDS

    def __init__(
        self,
        store: Store,
        clock: Clock,
        wakeups: Wakeups,
        worker: str,
        lanes: Sequence[str] | None,
        forget_files: Callable[[str], Awaitable[None]],
        deliveries_kept: timedelta = DELIVERIES_KEPT,
    ) -> None:
        """`lanes` are all there are, None where other processes may have others; `forget_files` removes the files of an
        erased batch, those that are left of them if it is asked again; `deliveries_kept` is how long deliveries are
        kept after their end."""
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._worker = worker
        self._lanes = lanes
        self._began = clock.now()
        self._eraser = Eraser(store, clock, forget_files)
        self._deliveries_kept = deliveries_kept

    async def _stop_stranded(self) -> None:
        """Stop batches whose lane is gone; not before an hour of this process, as a restart may bring it back."""
        now = self._clock.now()
        if self._lanes is None or now - self._began < STRANDED:
            return
        if await self._store.stop_stranded(self._lanes, now - STRANDED):
            log.error("stranded_batches_stopped")

    async def round(self) -> None:
        """Do what is due, a few pieces of each."""
        if await self._store.expire():
            self._wakeups.drop()
        await self._store.sweep_drafts(self._worker)
        await self._store.retire_batches()
        await self._stop_stranded()
        await self._eraser.sweep()
        await self._store.sweep_leftovers()
        await self._store.sweep_deliveries(self._clock.now() - self._deliveries_kept)

    async def stop(self) -> None:
        """End the loop. Files that are being removed are gone on with by the next process."""
        await super().stop()
        await self._eraser.stop()


class Eraser:
    """Removes erased batches, the first first: each one's files, and only then its rows. When the rows are gone nothing
    knows of the files any more, so a batch keeps its rows as long as it keeps its files.

    Batches whose files cannot be removed are left behind, and tried again once all the others are done."""

    def __init__(self, store: Upkeep, clock: Clock, forget_files: Callable[[str], Awaitable[None]]) -> None:
        """`forget_files` removes what is left of a batch's files."""
        self._store = store
        self._clock = clock
        self._forget_files = forget_files
        self._without_files: str | None = None
        self._forgetting: tuple[str, asyncio.Future[None]] | None = None
        self._left_behind: str | None = None
        self._again_at = 0.0
        self._silent_until = 0.0

    async def sweep(self) -> None:
        """Remove a few pieces. At most one batch is left behind, so that what is amiss does not take up the round."""
        for _ in range(PIECES):
            batch = await self._store.next_erased(self._left_behind)
            if batch is None:
                self._begin_anew()
                return
            if batch != self._without_files and not await self._forget(batch):
                return
            await self._store.sweep_erased(batch=batch)

    async def stop(self) -> None:
        """Give up what is under way."""
        if self._forgetting is not None:
            self._forgetting[1].cancel()
            await asyncio.gather(self._forgetting[1], return_exceptions=True)
            self._forgetting = None

    def _begin_anew(self) -> None:
        """All others are done: those left behind are tried again, once it is time."""
        if self._clock.monotonic() >= self._again_at:
            self._left_behind = None

    async def _forget(self, batch: str) -> bool:
        """Have the files of a batch removed; whether they are. What takes longer goes on beside the next rounds."""
        if self._forgetting is None:
            self._forgetting = batch, asyncio.ensure_future(self._forget_files(batch))
        whose, work = self._forgetting
        await asyncio.wait({work}, timeout=FILES_SECONDS)
        if not work.done():
            return False
        self._forgetting = None
        if error := work.exception():
            self._leave_behind(whose, error)
            return False
        self._without_files = whose
        return whose == batch

    def _leave_behind(self, batch: str, error: BaseException) -> None:
        now = self._clock.monotonic()
        if self._left_behind is None:
            self._again_at = now + FILES_AGAIN_SECONDS
        self._left_behind = batch
        if now >= self._silent_until:
            self._silent_until = now + FILES_AGAIN_SECONDS
            log.error("erased_files_not_removed", batch=batch, exc_info=error)
