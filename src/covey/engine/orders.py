"""Orders: what people say that takes runs back, each carried out in the one sequence that keeps their word.

1. The order is written: nothing new is handed out.
2. What this process was handed out and has not started is withdrawn; other processes hear of it and do the same.
3. Those runs end `not_started`, by the ordinary fenced finish.
4. The counts are read for the answer. So what it calls active has started here, or did not come back in time.
"""

from collections.abc import Sequence
from dataclasses import replace

from covey.domain.batch import Batch, StopReason
from covey.domain.errors import NotFound, Unavailable
from covey.engine.dispatcher import Which
from covey.engine.wakeups import Wakeups
from covey.engine.withdrawals import Withdrawals, of_batch, of_item, of_refs
from covey.store.results import Stopped
from covey.store.store import Store


class Orders:
    """Carries orders out for those who answer people."""

    def __init__(self, store: Store, wakeups: Wakeups, withdrawals: Withdrawals) -> None:
        """`withdrawals` are those of this process's worker."""
        self._store = store
        self._wakeups = wakeups
        self._withdrawals = withdrawals

    async def stop(
        self, workspace: str, batch: str, reason: StopReason, *, abort: bool = False, actor: str | None = None
    ) -> Stopped:
        """Stop a batch; see `Control.stop`. The answer has the counts after what had not started came back."""
        stopped = await self._store.stop(workspace, batch, reason, abort=abort, actor=actor)
        return replace(stopped, batch=await self._take_back_batch(stopped.batch, abort=abort))

    async def pause(self, workspace: str, batch: str, reason: str, actor: str | None = None) -> Batch:
        """Pause a batch; see `Control.pause`. The answer has the counts after what had not started came back."""
        return await self._take_back_batch(await self._store.pause(workspace, batch, reason, actor))

    async def drop(self, workspace: str, batch: str, seq: int, actor: str | None = None) -> bool:
        """Drop one active item; see `Control.drop`. If it had not started it has ended when this returns."""
        dropped = await self._store.drop(workspace, batch, seq, actor)
        if dropped:
            await self._take_back(of_item(batch, seq), abort=True)
        return dropped

    async def block(self, workspace: str, refs: Sequence[str], reason: str) -> int:
        """Keep a workspace from touching some refs; see `Accounts.block`. What was about to is withdrawn."""
        added = await self._store.block(workspace, refs, reason)
        await self._take_back(of_refs(workspace, refs))
        return added

    async def _take_back_batch(self, batch: Batch, *, abort: bool = False) -> Batch:
        """Take back what has not started of a batch; the batch after that. The order holds already: a database that
        does not answer now, or a batch that was deleted meanwhile, leaves the answer that was true before."""
        if not batch.counts.active:
            return batch
        await self._take_back(of_batch(batch.id), abort=abort)
        try:
            return await self._store.batch(batch.id)
        except (NotFound, Unavailable):
            return batch

    async def _take_back(self, which: Which, *, abort: bool = False) -> None:
        """Take back what has not started; with `abort`, what has started is told to end."""
        if abort:
            self._wakeups.drop()
        await self._withdrawals.complete(which)
