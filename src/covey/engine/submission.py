"""Filling a batch: items are appended in pieces to a draft that nothing shows, then one transaction makes it a
batch. Whatever goes wrong on the way leaves nothing behind."""

from collections.abc import AsyncIterator, Sequence

from covey.domain.batch import Batch, NewBatch, NewItem, Quota
from covey.engine.hints import Hints
from covey.store.ports import Drafts


class Submission:
    """Makes batches of lists."""

    def __init__(self, store: Drafts, hints: Hints, owner: str) -> None:
        """`owner` is the worker whose death lets the drafts it left be swept."""
        self._store = store
        self._hints = hints
        self._owner = owner

    async def submit(
        self,
        batch: NewBatch,
        pieces: AsyncIterator[Sequence[NewItem]],
        quota: Quota,
        actor: str | None = None,
    ) -> Batch:
        """Store `batch` with the items of `pieces` and let it start. Raises what `Drafts.accept` raises."""
        await self._store.draft(batch, self._owner)
        try:
            total = 0
            async for piece in pieces:
                await self._store.append(batch.id, total, piece)
                total += len(piece)
            accepted = await self._store.accept(batch.id, total, quota, actor)
        except BaseException:
            await self._store.discard(batch.id)
            raise
        self._hints.work(batch.lane)
        return accepted
