"""Every port's method as one operation: the part of a store that is the same for each database."""

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from covey.domain.account import AgentRecord, Blocked, KeptAnswer, Key, Meaning, Workspace
from covey.domain.batch import Batch, BatchState, Event, NewBatch, NewItem, Quota, StopReason
from covey.domain.item import Item, ItemState
from covey.domain.lane import Lane, LaneStatus
from covey.domain.run import Finished, Json, Progress
from covey.store.operations import accounts, claim, control, drafts, duplicates, finish, held, lanes, reading, upkeep
from covey.store.operations.assetstore import AssetStore
from covey.store.operations.running import Operation, T
from covey.store.operations.webhookstore import WebhookStore
from covey.store.ports import Claim, Dropped, FinishReport, Stopped

__all__ = ["Operation", "OperationStore", "T"]


class OperationStore(AssetStore, WebhookStore):
    """The ports of `covey.store.ports.Store` but a database's own life and who is alive on it."""

    # Drafts

    async def draft(self, batch: NewBatch, owner: str) -> None:
        await self._write(lambda db: drafts.draft(db, batch, owner))

    async def append(self, batch: str, first_seq: int, items: Sequence[NewItem]) -> None:
        await self._write(lambda db: drafts.append(db, batch, first_seq, items), rows=len(items))

    async def accept(self, batch: str, total: int, quota: Quota, actor: str | None = None) -> Batch:
        return await self._write(lambda db: drafts.accept(db, batch, total, quota, actor))

    async def discard(self, batch: str) -> None:
        await self._write(lambda db: drafts.discard(db, batch))

    # Claims and finishes

    async def time(self) -> datetime:
        return await self._look(lambda db: db.now())

    async def claim(self, worker: str, lane: str, room: int) -> Claim:
        return await self._write(lambda db: claim.claim(db, worker, lane, room), rows=room)

    async def advance(self, worker: str, progress: Sequence[Progress]) -> None:
        await self._write(lambda db: lanes.advance(db, worker, progress), rows=len(progress))

    async def finish(self, worker: str, finished: Sequence[Finished]) -> FinishReport:
        return await self._write(lambda db: finish.finish(db, worker, finished), urgent=True, rows=len(finished))

    # Control

    async def stop(
        self,
        batch: str,
        reason: StopReason,
        *,
        abort: bool = False,
        message: str | None = None,
        actor: str | None = None,
    ) -> Stopped:
        operation = functools.partial(
            control.stop, batch=batch, reason=reason, abort=abort, message=message, actor=actor
        )
        return await self._write(operation, urgent=True)

    async def pause(self, batch: str, reason: str, actor: str | None = None) -> Batch:
        return await self._write(lambda db: control.pause(db, batch, reason, actor), urgent=True)

    async def resume(self, batch: str, actor: str | None = None) -> Batch:
        return await self._write(lambda db: control.resume(db, batch, actor), urgent=True)

    async def adjust(self, batch: str, changes: Json, actor: str | None = None) -> Batch:
        return await self._write(lambda db: control.adjust(db, batch, changes, actor), urgent=True)

    async def drop(self, batch: str, seq: int, actor: str | None = None) -> bool:
        return await self._write(lambda db: control.drop(db, batch, seq, actor), urgent=True)

    async def erase_batch(self, batch: str, actor: str | None = None) -> None:
        await self._write(lambda db: control.erase_batch(db, batch, actor))

    # Workers and lanes

    async def settle(self, worker: str, hold: Mapping[str, timedelta]) -> int:
        return await self._write(lambda db: held.settle(db, worker, hold), rows=500)

    async def in_hand(self, worker: str) -> list[tuple[str, int, int]]:
        return await self._look(lambda db: lanes.in_hand(db, worker))

    async def to_drop(self, worker: str) -> list[Dropped]:
        return await self._look(lambda db: lanes.to_drop(db, worker))

    # Lanes

    async def check_room(self, worker: str) -> None:
        await self._write(lambda db: upkeep.check_room(db, worker))
        self.full = False

    async def put_lane(self, lane: Lane) -> None:
        await self._write(lambda db: lanes.put_lane(db, lane))

    async def lane(self, name: str) -> LaneStatus | None:
        return await self._look(lambda db: lanes.lane(db, name))

    async def lanes(self) -> list[LaneStatus]:
        return await self._look(lanes.lanes)

    async def open_lane(self, name: str, until: datetime, reason: str) -> None:
        await self._write(lambda db: lanes.open_lane(db, name, until, reason))

    async def close_lane(self, name: str) -> None:
        await self._write(lambda db: lanes.close_lane(db, name))

    # Reading

    async def batch(self, batch: str, workspace: str | None = None, *, bare: bool = False) -> Batch:
        return await self._look(lambda db: reading.batch(db, batch, workspace, bare=bare))

    async def batches(
        self,
        workspace: str | None,
        *,
        kind: str | None = None,
        states: Sequence[BatchState] | None = None,
        origin: str | None = "batch",
        before: str | None = None,
        offset: int = 0,
        limit: int = 20,
    ) -> tuple[list[Batch], int]:
        look = functools.partial(
            reading.batches,
            workspace=workspace,
            kind=kind,
            states=states,
            origin=origin,
            before=before,
            offset=offset,
            limit=limit,
        )
        return await self._page(look)

    async def find_fingerprint(self, workspace: str, fingerprint: str, lane: str, since: datetime) -> str | None:
        return await self._look(lambda db: duplicates.find_fingerprint(db, workspace, fingerprint, lane, since))

    async def refs_elsewhere(
        self, workspace: str, lane: str, refs: Sequence[str], since: datetime, seconds: float
    ) -> dict[str, str]:
        return await self._page(lambda db: duplicates.refs_elsewhere(db, workspace, lane, refs, since, seconds))

    async def items(
        self,
        batch: str,
        state: ItemState | None = None,
        *,
        offset: int = 0,
        after: int | None = None,
        limit: int = 20,
        bare: bool = False,
    ) -> tuple[Batch, list[Item]]:
        look = functools.partial(
            reading.items, id_=batch, state=state, offset=offset, after=after, limit=limit, bare=bare
        )
        return await self._page(look)

    async def item(self, batch: str, seq: int) -> Item:
        return await self._look(lambda db: reading.item(db, batch, seq))

    async def recent(self, batch: str, limit: int = 10) -> list[Item]:
        return await self._look(lambda db: reading.recent(db, batch, limit))

    async def outcomes(self, batch: str) -> dict[str, int]:
        return await self._look(lambda db: reading.outcomes(db, batch))

    async def history(self, batch: str) -> list[Event]:
        return await self._page(lambda db: reading.history(db, batch))

    async def by_ref(
        self,
        workspace: str,
        ref: str,
        limit: int = 1000,
        *,
        offset: int = 0,
        kind: str | None = None,
        states: Sequence[ItemState] | None = None,
        bare: bool = False,
    ) -> list[Item]:
        look = functools.partial(
            reading.by_ref,
            workspace=workspace,
            ref=ref,
            kind=kind,
            states=states,
            offset=offset,
            limit=limit,
            bare=bare,
        )
        return await self._page(look)

    async def count_by_ref(
        self, workspace: str, ref: str, *, kind: str | None = None, states: Sequence[ItemState] | None = None
    ) -> int:
        return await self._page(lambda db: reading.count_by_ref(db, workspace, ref, kind, states))

    async def item_totals(self, workspace: str, kind: str) -> dict[ItemState, int]:
        return await self._page(lambda db: reading.item_totals(db, workspace, kind))

    async def recount(self, batch: str) -> dict[str, tuple[int, int]]:
        return await self._page(lambda db: reading.recount(db, batch))

    # Upkeep

    async def expire(self, limit: int = 100) -> list[str]:
        return await self._write(lambda db: upkeep.expire(db, limit))

    async def stop_stranded(self, lanes: Sequence[str], due_before: datetime, limit: int = 100) -> list[str]:
        return await self._write(lambda db: upkeep.stop_stranded(db, lanes, due_before, limit))

    async def sweep_drafts(self, me: str) -> int:
        return await self._write(lambda db: upkeep.sweep_drafts(db, me))

    async def next_erased(self, after: str | None = None) -> str | None:
        return await self._look(lambda db: upkeep.next_erased(db, after))

    async def sweep_erased(self, limit: int = 500, batch: str | None = None) -> list[str]:
        return await self._write(lambda db: upkeep.sweep_erased(db, limit, batch), rows=limit)

    async def sweep_leftovers(self, limit: int = 500) -> int:
        return await self._write(lambda db: upkeep.sweep_leftovers(db, limit), rows=limit)

    async def retire_batches(self, limit: int = 100) -> int:
        return await self._write(lambda db: upkeep.retire_batches(db, limit))

    # Accounts

    async def add_workspace(self, workspace: Workspace) -> None:
        await self._write(lambda db: accounts.add_workspace(db, workspace))

    async def add_first(self, workspace: Workspace, key: Key) -> bool:
        return await self._write(lambda db: accounts.add_first(db, workspace, key))

    async def workspace(self, workspace: str) -> Workspace:
        return await self._look(lambda db: accounts.workspace(db, workspace))

    async def workspaces(self) -> list[Workspace]:
        return await self._look(accounts.workspaces)

    async def change_workspace(self, workspace: Workspace) -> None:
        await self._write(lambda db: accounts.change_workspace(db, workspace))

    async def add_key(self, key: Key) -> None:
        await self._write(lambda db: accounts.add_key(db, key))

    async def key_by_digest(self, digest: bytes) -> Key | None:
        return await self._look(lambda db: accounts.key_by_digest(db, digest))

    async def keys(self, workspace: str | None = None) -> list[Key]:
        return await self._look(lambda db: accounts.keys(db, workspace))

    async def revoke_key(self, key: str) -> bool:
        return await self._write(lambda db: accounts.revoke_key(db, key))

    async def touch_keys(self, used: dict[str, datetime]) -> None:
        await self._write(lambda db: accounts.touch_keys(db, used))

    async def put_agent(self, agent: AgentRecord) -> None:
        await self._write(lambda db: accounts.put_agent(db, agent))

    async def agent(self, workspace: str, agent: str) -> AgentRecord:
        return await self._look(lambda db: accounts.agent(db, workspace, agent))

    async def agents(self, workspace: str) -> list[AgentRecord]:
        return await self._look(lambda db: accounts.agents(db, workspace))

    async def delete_agent(self, workspace: str, agent: str) -> None:
        await self._write(lambda db: accounts.delete_agent(db, workspace, agent))

    async def block(self, workspace: str, refs: Sequence[str], reason: str) -> int:
        return await self._write(lambda db: accounts.block(db, workspace, refs, reason), rows=len(refs))

    async def unblock(self, workspace: str, ref: str) -> bool:
        return await self._write(lambda db: accounts.unblock(db, workspace, ref))

    async def blocked_among(self, workspace: str, refs: Sequence[str]) -> set[str]:
        return await self._look(lambda db: accounts.blocked_among(db, workspace, refs))

    async def blocked(self, workspace: str, *, after: str = "", limit: int = 1000) -> list[Blocked]:
        return await self._page(lambda db: accounts.blocked(db, workspace, after, limit))

    async def erase_ref(self, workspace: str, ref: str, replacement: str) -> int:
        return await self._write(lambda db: accounts.erase_ref(db, workspace, ref, replacement))

    async def begin_answer(self, meaning: Meaning, owner: str, created: str | None) -> KeptAnswer | str | None:
        return await self._write(lambda db: accounts.begin_answer(db, meaning, owner, created))

    async def keep_answer(self, meaning: Meaning, answer: KeptAnswer | None) -> None:
        await self._write(lambda db: accounts.keep_answer(db, meaning, answer))
