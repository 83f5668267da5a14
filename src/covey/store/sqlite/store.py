"""The SQLite store: every port's method as one operation on the writer's thread, or one look on a reader's.

Pages have readers of their own, so that no key, status or cancel ever waits behind a long list.
"""

import asyncio
import functools
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import apsw

from covey.domain.account import AgentRecord, Blocked, KeptAnswer, Key, Meaning, Workspace
from covey.domain.batch import Batch, BatchState, Event, NewBatch, NewItem, Quota, StopReason
from covey.domain.clock import Clock
from covey.domain.item import Item, ItemState
from covey.domain.lane import Lane, LaneStatus
from covey.domain.run import Finished, Json
from covey.store.migrate import StoreError
from covey.store.ports import Claim, Dropped, FinishReport, Stopped
from covey.store.sqlite import accounts, claim, control, drafts, finish, liveness, reading, upkeep
from covey.store.sqlite.checkpoints import Checkpoints
from covey.store.sqlite.connection import connect, migrate
from covey.store.sqlite.copies import copy_database
from covey.store.sqlite.database import Database, statements
from covey.store.sqlite.lock import OwnerLock
from covey.store.sqlite.reader import Reader
from covey.store.sqlite.writer import Writer

T = TypeVar("T")
Look = Callable[[Database], T]


class SqliteStore:
    """A database in one file, owned by one process. Implements `covey.store.ports.Store`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """`path` is the database file; its folder must exist."""
        self.path = Path(path)
        self.clock = clock
        self.lock = OwnerLock(self.path.with_suffix(".lock"))
        self._sql = statements()
        self.writer = Writer(self._connect_writer)
        self._reader = Reader(lambda: connect(self.path, self._sql, readonly=True))
        self._pages = Reader(lambda: connect(self.path, self._sql, readonly=True))
        self._checkpoints = Checkpoints(lambda: connect(self.path, self._sql))

    async def open(self) -> None:
        await self.lock.acquire()
        try:
            await self.writer.start()
        except BaseException:
            self.lock.release()
            raise
        self._checkpoints.start()

    async def close(self) -> None:
        await self.writer.stop()
        await asyncio.to_thread(self._reader.close)
        await asyncio.to_thread(self._pages.close)
        await asyncio.to_thread(self._checkpoints.stop)
        self.lock.release()

    async def backup(self, path: str) -> None:
        await asyncio.to_thread(copy_database, self.path, Path(path))

    def _connect_writer(self) -> Database:
        try:
            database = connect(self.path, self._sql)
            migrate(database)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise StoreError(f"{self.path} is not a sound database: restore a backup (covey restore)") from error
        except apsw.Error as error:
            raise StoreError(f"{self.path} cannot be opened: {error}") from error
        database.connection.set_wal_hook(self._checkpoints.grown)
        return database

    async def _write(self, operation: Look[T], *, urgent: bool = False, rows: int = 1) -> T:
        return await self.writer.run(operation, urgent=urgent, rows=rows)

    # Drafts

    async def draft(self, batch: NewBatch, owner: str) -> None:
        await self._write(lambda db: drafts.draft(db, batch, owner))

    async def append(self, batch: str, first_seq: int, items: Sequence[NewItem]) -> None:
        await self._write(lambda db: drafts.append(db, batch, first_seq, items), rows=len(items))

    async def accept(self, batch: str, total: int, quota: Quota, actor: str | None = None) -> Batch:
        return await self._write(lambda db: drafts.accept(db, self.clock, batch, total, quota, actor))

    async def discard(self, batch: str) -> None:
        await self._write(lambda db: drafts.discard(db, self.clock, batch))

    # Claims and finishes

    async def claim(self, worker: str, lane: str, room: int) -> Claim:
        return await self._write(lambda db: claim.claim(db, self.clock.now(), worker, lane, room), rows=room)

    async def finish(self, worker: str, finished: Sequence[Finished]) -> FinishReport:
        return await self._write(
            lambda db: finish.finish(db, self.clock.now(), worker, finished), urgent=True, rows=len(finished)
        )

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
            control.stop, clock=self.clock, batch=batch, reason=reason, abort=abort, message=message, actor=actor
        )
        return await self._write(operation, urgent=True)

    async def pause(self, batch: str, reason: str, actor: str | None = None) -> Batch:
        return await self._write(lambda db: control.pause(db, self.clock, batch, reason, actor), urgent=True)

    async def resume(self, batch: str, actor: str | None = None) -> Batch:
        return await self._write(lambda db: control.resume(db, self.clock, batch, actor), urgent=True)

    async def adjust(self, batch: str, changes: Json, actor: str | None = None) -> Batch:
        return await self._write(lambda db: control.adjust(db, self.clock, batch, changes, actor), urgent=True)

    async def drop(self, batch: str, seq: int, actor: str | None = None) -> bool:
        return await self._write(lambda db: control.drop(db, self.clock, batch, seq, actor), urgent=True)

    async def erase_batch(self, batch: str, actor: str | None = None) -> None:
        await self._write(lambda db: control.erase_batch(db, self.clock, batch, actor))

    # Liveness

    async def enlist(self, worker: str) -> None:
        await self._write(lambda db: liveness.enlist(db, self.clock, worker))

    async def retire(self, worker: str) -> None:
        await self._write(lambda db: liveness.retire(db, self.clock, worker))

    async def dead_workers(self, me: str) -> list[str]:
        return await self._write(lambda db: liveness.dead_workers(db, self.clock, me))

    async def settle(self, worker: str, hold_until: datetime | None) -> int:
        return await self._write(lambda db: finish.settle(db, self.clock.now(), worker, hold_until), rows=500)

    async def in_hand(self, worker: str) -> list[tuple[str, int, int]]:
        return await self._reader.run(lambda db: liveness.in_hand(db, worker))

    async def to_drop(self, worker: str) -> list[Dropped]:
        return await self._reader.run(lambda db: liveness.to_drop(db, worker))

    # Lanes

    async def put_lane(self, lane: Lane) -> None:
        await self._write(lambda db: liveness.put_lane(db, lane))

    async def lane(self, name: str) -> LaneStatus | None:
        return await self._reader.run(lambda db: liveness.lane(db, name))

    async def lanes(self) -> list[LaneStatus]:
        return await self._reader.run(liveness.lanes)

    async def open_lane(self, name: str, until: datetime, reason: str) -> None:
        await self._write(lambda db: liveness.open_lane(db, self.clock, name, until, reason))

    async def close_lane(self, name: str) -> None:
        await self._write(lambda db: liveness.close_lane(db, name))

    # Reading

    async def batch(self, batch: str, workspace: str | None = None) -> Batch:
        return await self._reader.run(lambda db: reading.batch(db, self.clock.now(), batch, workspace))

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
            now=self.clock.now(),
            workspace=workspace,
            kind=kind,
            states=states,
            origin=origin,
            before=before,
            offset=offset,
            limit=limit,
        )
        return await self._pages.run(look)

    async def find_fingerprint(self, workspace: str, fingerprint: str, since: datetime) -> str | None:
        return await self._reader.run(lambda db: reading.find_fingerprint(db, workspace, fingerprint, since))

    async def items(
        self,
        batch: str,
        state: ItemState | None = None,
        *,
        offset: int = 0,
        after: int | None = None,
        limit: int = 20,
    ) -> tuple[Batch, list[Item]]:
        look = functools.partial(
            reading.items, now=self.clock.now(), id_=batch, state=state, offset=offset, after=after, limit=limit
        )
        return await self._pages.run(look)

    async def item(self, batch: str, seq: int) -> Item:
        return await self._reader.run(lambda db: reading.item(db, self.clock.now(), batch, seq))

    async def recent(self, batch: str, limit: int = 10) -> list[Item]:
        return await self._reader.run(lambda db: reading.recent(db, self.clock.now(), batch, limit))

    async def outcomes(self, batch: str) -> dict[str, int]:
        return await self._reader.run(lambda db: reading.outcomes(db, batch))

    async def history(self, batch: str) -> list[Event]:
        return await self._pages.run(lambda db: reading.history(db, batch))

    async def by_ref(self, workspace: str, ref: str, limit: int = 1000) -> list[Item]:
        return await self._pages.run(lambda db: reading.by_ref(db, workspace, ref, limit))

    async def recount(self, batch: str) -> dict[str, tuple[int, int]]:
        return await self._pages.run(lambda db: reading.recount(db, batch))

    # Upkeep

    async def expire(self, limit: int = 100) -> list[str]:
        return await self._write(lambda db: upkeep.expire(db, self.clock, limit))

    async def stop_stranded(self, lanes: Sequence[str], due_before: datetime, limit: int = 100) -> list[str]:
        return await self._write(lambda db: upkeep.stop_stranded(db, self.clock, lanes, due_before, limit))

    async def sweep_drafts(self, me: str) -> int:
        return await self._write(lambda db: upkeep.sweep_drafts(db, self.clock, me))

    async def sweep_erased(self, limit: int = 500) -> list[str]:
        return await self._write(lambda db: upkeep.sweep_erased(db, limit), rows=limit)

    async def sweep_leftovers(self, limit: int = 500) -> int:
        return await self._write(lambda db: upkeep.sweep_leftovers(db, self.clock, limit), rows=limit)

    async def retire_batches(self, kind: str, ended_before: datetime, limit: int = 100) -> int:
        return await self._write(lambda db: upkeep.retire_batches(db, self.clock, kind, ended_before, limit))

    # Accounts

    async def add_workspace(self, workspace: Workspace) -> None:
        await self._write(lambda db: accounts.add_workspace(db, workspace))

    async def workspace(self, workspace: str) -> Workspace:
        return await self._reader.run(lambda db: accounts.workspace(db, workspace))

    async def workspaces(self) -> list[Workspace]:
        return await self._reader.run(accounts.workspaces)

    async def change_workspace(self, workspace: Workspace) -> None:
        await self._write(lambda db: accounts.change_workspace(db, workspace))

    async def add_key(self, key: Key) -> None:
        await self._write(lambda db: accounts.add_key(db, key))

    async def key_by_digest(self, digest: bytes) -> Key | None:
        return await self._reader.run(lambda db: accounts.key_by_digest(db, digest))

    async def keys(self, workspace: str | None = None) -> list[Key]:
        return await self._reader.run(lambda db: accounts.keys(db, workspace))

    async def revoke_key(self, key: str) -> bool:
        return await self._write(lambda db: accounts.revoke_key(db, self.clock, key))

    async def touch_keys(self, used: dict[str, datetime]) -> None:
        await self._write(lambda db: accounts.touch_keys(db, used))

    async def put_agent(self, agent: AgentRecord) -> None:
        await self._write(lambda db: accounts.put_agent(db, agent))

    async def agent(self, workspace: str, agent: str) -> AgentRecord:
        return await self._reader.run(lambda db: accounts.agent(db, workspace, agent))

    async def agents(self, workspace: str) -> list[AgentRecord]:
        return await self._reader.run(lambda db: accounts.agents(db, workspace))

    async def delete_agent(self, workspace: str, agent: str) -> None:
        await self._write(lambda db: accounts.delete_agent(db, workspace, agent))

    async def block(self, workspace: str, refs: Sequence[str], reason: str) -> int:
        return await self._write(lambda db: accounts.block(db, self.clock, workspace, refs, reason), rows=len(refs))

    async def unblock(self, workspace: str, ref: str) -> bool:
        return await self._write(lambda db: accounts.unblock(db, workspace, ref))

    async def blocked(self, workspace: str, *, after: str = "", limit: int = 1000) -> list[Blocked]:
        return await self._pages.run(lambda db: accounts.blocked(db, workspace, after, limit))

    async def erase_ref(self, workspace: str, ref: str, replacement: str) -> int:
        return await self._write(lambda db: accounts.erase_ref(db, workspace, ref, replacement))

    async def begin_answer(self, meaning: Meaning, owner: str, created: str | None) -> KeptAnswer | str | None:
        return await self._write(lambda db: accounts.begin_answer(db, self.clock, meaning, owner, created))

    async def keep_answer(self, meaning: Meaning, answer: KeptAnswer | None) -> None:
        await self._write(lambda db: accounts.keep_answer(db, meaning, answer))
