"""Filling a batch: items are appended in pieces to a draft that nothing shows, then one transaction makes it a
batch. Whatever goes wrong on the way leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from typing import TypeVar

from covey.domain.batch import Batch, NewBatch, NewItem, Quota
from covey.domain.errors import Unavailable
from covey.engine.wakeups import Wakeups
from covey.store.store import Drafts

T = TypeVar("T")


async def settled(step: Awaitable[T]) -> T:
    """Wait for `step` to its end even if this task is cancelled meanwhile, and only then be cancelled.

    A write that the database has begun cannot be taken back, so who was cancelled may not go on before it is known
    what became of it.
    """
    running = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not running.cancelled():
            running.exception()  # looked at: nobody else will
        raise cancelled
    return running.result()


class Submission:
    """Makes batches of lists."""

    def __init__(self, store: Drafts, wakeups: Wakeups, owner: str) -> None:
        """`owner` is the worker whose death lets the drafts it left be swept."""
        self._store = store
        self._wakeups = wakeups
        self._owner = owner

    async def submit(
        self,
        batch: NewBatch,
        pieces: AsyncIterator[Sequence[NewItem]],
        quota: Quota,
        actor: str | None = None,
    ) -> Batch:
        """Store `batch` with the items of `pieces` and let it start. Raises what `Drafts.accept` raises.

        If this is cancelled while the batch is being accepted, it is known afterwards whether it was: then it is
        there, and starts.
        """
        try:
            await settled(self._store.draft(batch, self._owner))
            total = 0
            async for piece in pieces:
                await self._store.append(batch.id, total, piece)
                total += len(piece)
            return await settled(self._accept(batch, total, quota, actor))
        except (Exception, asyncio.CancelledError):
            with suppress(Unavailable):
                await settled(self._store.discard(batch.id))
            raise

    async def _accept(self, batch: NewBatch, total: int, quota: Quota, actor: str | None) -> Batch:
        accepted = await self._store.accept(batch.id, total, quota, actor)
        self._wakeups.work(batch.lane)
        self._wakeups.event()
        return accepted
