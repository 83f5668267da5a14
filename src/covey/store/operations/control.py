"""Control: stop, pause, resume, adjust, drop, erase. One row each, whatever the size of the batch."""

from typing import Any

from covey.domain.batch import Batch, StopReason
from covey.domain.errors import Conflict, NotFound
from covey.domain.lane import gap
from covey.domain.run import Json
from covey.store.operations import reading
from covey.store.operations.counts import LockedBatch, locked_batch, save
from covey.store.operations.transaction import Database, key, lock, micros, moment, span_micros
from covey.store.results import Stopped

DROP = "drop"
"""What is told to every process: look which runs are to be dropped, or are about what was blocked."""


def withdraw(batch: bytes) -> str:
    """What is told to every process: nothing more of a batch is to start, also of what was handed out already."""
    return f"withdraw:{batch.hex()}"


def work(lane: str) -> str:
    """What is told to every process: a lane has something to start."""
    return f"work:{lane}"


async def _known(database: Database, workspace: str, batch: str) -> LockedBatch:
    id_ = key(batch)
    now = await lock(database, [id_])
    found = await locked_batch(database, id_, micros(now))
    if found is None or found.row.workspace != workspace or found.row.erased_at is not None:
        raise NotFound(f"there is no batch {batch}")
    return found


def _still_open(batch: LockedBatch, doing: str) -> None:
    if not batch.open:
        what = "was stopped" if batch.row.stopped_at is not None else "has ended"
        raise Conflict(f"the batch {what}: there is nothing left to {doing}", code="ended")


async def _answer(database: Database, batch: LockedBatch) -> Batch:
    return await reading.read_batch(database, batch.row.id.hex(), now=moment(batch.now))


async def stop(
    database: Database,
    workspace: str,
    batch: str,
    reason: StopReason,
    *,
    abort: bool = False,
    message: str | None = None,
    actor: str | None = None,
) -> Stopped:
    """Stop a batch: what waits is canceled, what is active goes on, or with `abort` is dropped. A batch that has
    ended or was stopped before keeps its first reason (a later `abort` still counts)."""
    found = await _known(database, workspace, batch)
    first = found.open
    if first:
        await stop_open(database, found, reason, message=message, actor=actor)
    if abort and found.row.active and found.row.aborted_at is None:
        await database.write("batch_abort", {"batch": found.row.id, "now": found.now})
        found.event("aborted", actor)
        await database.tell(DROP)
    if found.events:
        await save(database, [found])
    return Stopped(await _answer(database, found), first)


async def stop_open(
    database: Database, batch: LockedBatch, reason: StopReason, *, message: str | None, actor: str | None
) -> None:
    """Stop a batch that is open, with the next save: what waits in it is canceled, however much it is."""
    row = batch.row
    row.stopped, row.stopped_at, row.stop_reason, row.next_at = 1, batch.now, reason.value, None
    leftovers = int(row.deferred > 0)
    facts = {"now": batch.now, "reason": reason.value, "message": message, "leftovers": leftovers}
    await database.write("batch_stop", {"batch": row.id, **facts})
    canceled = row.total - row.active - row.succeeded - row.failed
    data = {"reason": reason.value, "canceled": canceled, "active": row.active}
    row.canceled, row.deferred = canceled, 0
    batch.event("stopped", actor, data)
    await database.tell(withdraw(row.id))


async def stop_broke(database: Database, batch: LockedBatch) -> None:
    """Stop a batch that cannot pay for one more item, with the next save."""
    message = "What is left of its money does not pay for one more item"
    await stop_open(database, batch, StopReason.budget, message=message, actor=None)


async def expire_one(database: Database, batch: LockedBatch) -> None:
    """Stop a batch whose time is over, if it is open; runs that harm nobody when they are dropped are dropped."""
    if batch.open:
        await stop_open(database, batch, StopReason.expire, message=None, actor=None)
    if batch.may_be_dropped:
        await database.write("batch_abort", {"batch": batch.row.id, "now": batch.now})
        await database.tell(DROP)
    await save(database, [batch])


async def pause(database: Database, workspace: str, batch: str, reason: str, actor: str | None = None) -> Batch:
    """Start nothing more of it until it is resumed. Raises Conflict `ended` after the end or a stop."""
    found = await _known(database, workspace, batch)
    _still_open(found, "pause")
    if found.row.paused_at is None:
        await pause_open(database, found, reason)
        found.event("paused", actor, {"reason": reason})
        await save(database, [found])
    return await _answer(database, found)


async def pause_open(database: Database, batch: LockedBatch, reason: str) -> None:
    """Pause a batch that is open and not paused, with the next save."""
    row = batch.row
    row.paused_at, row.next_at = batch.now, None
    await database.write("batch_pause", {"batch": row.id, "now": batch.now, "reason": reason})
    await database.tell(withdraw(row.id))


async def resume(database: Database, workspace: str, batch: str, actor: str | None = None) -> Batch:
    """Go on with a paused batch. Raises Conflict `ended` after the end or a stop."""
    found = await _known(database, workspace, batch)
    _still_open(found, "resume")
    if found.row.paused_at is not None:
        found.row.paused_at, found.row.streak, found.row.streak_code = None, 0, None
        await database.write("batch_resume", {"batch": found.row.id})
        found.event("resumed", actor)
        found.find_next()
        await save(database, [found])
        await database.tell(work(found.row.lane))
    return await _answer(database, found)


async def adjust(database: Database, workspace: str, batch: str, changes: Json, actor: str | None = None) -> Batch:
    """Change `name`, `cap` or `pace` of a batch that has not ended."""
    found = await _known(database, workspace, batch)
    _still_open(found, "change")
    row = found.row
    values: dict[str, Any] = {"cap": row.cap, "pace": row.pace, **{k: v for k, v in changes.items() if k != "name"}}
    if row.next_start is not None:
        row.next_start += span_micros(gap(values["pace"])) - span_micros(gap(row.pace))
    row.cap, row.pace = values["cap"], values["pace"]
    await database.write("counts_limits", {"batch": row.id, "cap": row.cap, "pace": row.pace})
    if "name" in changes:
        await database.write("batch_rename", {"batch": row.id, "name": changes["name"]})
    found.event("changed", actor, changes)
    found.find_next()
    await save(database, [found])
    await database.tell(work(row.lane))
    return await _answer(database, found)


async def drop(database: Database, workspace: str, batch: str, seq: int, actor: str | None = None) -> bool:
    """Tell the worker of one active item to drop it; False if the item is not active."""
    found = await _known(database, workspace, batch)
    if not await database.run("live_drop", {"batch": found.row.id, "seq": seq}):
        return False
    found.event("item_aborted", actor, {"seq": seq})
    await save(database, [found])
    await database.tell(DROP)
    return True


async def erase_batch(database: Database, workspace: str, batch: str, actor: str | None = None) -> None:
    """Hide an ended batch at once and let the sweeper remove its data. Raises Conflict `not_ended`."""
    found = await _known(database, workspace, batch)
    if found.row.completed_at is None:
        raise Conflict("the batch has not ended: cancel it first, and wait for its active items", code="not_ended")
    await database.write("batch_erase", {"batch": found.row.id, "now": found.now})
    found.event("erased", actor)
    await save(database, [found])
