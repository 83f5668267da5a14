"""Control: stop, pause, resume, adjust, drop, erase. One row each, whatever the size of the batch."""

from typing import Any

from covey.domain.batch import Batch, StopReason
from covey.domain.clock import Clock
from covey.domain.errors import Conflict, NotFound
from covey.domain.lane import gap
from covey.domain.run import Json
from covey.store.ports import Stopped
from covey.store.sqlite import reading
from covey.store.sqlite.database import Database, micros, span_micros
from covey.store.sqlite.hot import Hot, hot


def _known(database: Database, clock: Clock, batch: str) -> Hot:
    found = hot(database, reading.key(batch), micros(clock.now()))
    if found is None or found.row.erased_at is not None:
        raise NotFound(f"there is no batch {batch}")
    return found


def _still_open(batch: Hot, doing: str) -> None:
    if not batch.open:
        what = "was stopped" if batch.row.stopped_at is not None else "has ended"
        raise Conflict(f"the batch {what}: there is nothing left to {doing}", code="ended")


def stop(
    database: Database,
    clock: Clock,
    batch: str,
    reason: StopReason,
    *,
    abort: bool,
    message: str | None,
    actor: str | None,
) -> Stopped:
    """Stop a batch; see `Control.stop`."""
    found = _known(database, clock, batch)
    now = micros(clock.now())
    first = found.open
    if first:
        stop_open(database, now, found, reason, message=message, actor=actor)
    if abort and found.row.completed_at is None and found.row.aborted_at is None and found.row.active:
        database.run("batch_abort", {"batch": found.row.id, "now": now})
        found.event("aborted", actor)
    return Stopped(reading.batch(database, clock.now(), batch, None), first)


def stop_open(
    database: Database, now: int, batch: Hot, reason: StopReason, *, message: str | None, actor: str | None
) -> None:
    """Stop a batch that is open: what waits in it is canceled, however much it is."""
    row = batch.row
    row.stopped_at, row.stop_reason, row.next_at = now, reason.value, None
    leftovers = int(row.deferred > 0)
    facts = {"now": now, "reason": reason.value, "message": message, "leftovers": leftovers}
    database.run("batch_stop", {"batch": row.id, **facts})
    canceled = row.total - row.active - row.succeeded - row.failed
    data = {"reason": reason.value, "canceled": canceled, "active": row.active}
    row.canceled, row.deferred = canceled, 0
    database.run("counts_stop", {"batch": row.id, "canceled": canceled})
    batch.event("stopped", actor, data)
    batch.save()


def expire_one(database: Database, now: int, batch: Hot) -> None:
    """Stop a batch whose time is over; runs that harm nobody when they are dropped are dropped."""
    stop_open(database, now, batch, StopReason.expire, message=None, actor=None)
    if batch.row.repeatable and batch.row.active:
        database.run("batch_abort", {"batch": batch.row.id, "now": now})


def pause(database: Database, clock: Clock, batch: str, reason: str, actor: str | None) -> Batch:
    """Pause a batch; see `Control.pause`."""
    found = _known(database, clock, batch)
    _still_open(found, "pause")
    if found.row.paused_at is None:
        now = micros(clock.now())
        found.row.paused_at, found.row.next_at = now, None
        database.run("batch_pause", {"batch": found.row.id, "now": now, "reason": reason})
        found.event("paused", actor, {"reason": reason})
        found.save()
    return reading.batch(database, clock.now(), batch, None)


def resume(database: Database, clock: Clock, batch: str, actor: str | None) -> Batch:
    """Resume a batch; see `Control.resume`."""
    found = _known(database, clock, batch)
    _still_open(found, "resume")
    if found.row.paused_at is not None:
        found.row.paused_at, found.row.streak, found.row.streak_code = None, 0, None
        database.run("batch_resume", {"batch": found.row.id})
        found.event("resumed", actor)
        found.find_next()
        found.save()
    return reading.batch(database, clock.now(), batch, None)


def adjust(database: Database, clock: Clock, batch: str, changes: Json, actor: str | None) -> Batch:
    """Change a batch's name or own limits; see `Control.adjust`."""
    found = _known(database, clock, batch)
    _still_open(found, "change")
    row = found.row
    values: dict[str, Any] = {"cap": row.cap, "pace": row.pace, **{k: v for k, v in changes.items() if k != "name"}}
    if row.next_start is not None:
        row.next_start += span_micros(gap(values["pace"])) - span_micros(gap(row.pace))
    row.cap, row.pace = values["cap"], values["pace"]
    database.run("counts_limits", {"batch": row.id, "cap": row.cap, "pace": row.pace})
    if "name" in changes:
        database.run("batch_rename", {"batch": row.id, "name": changes["name"]})
    found.event("changed", actor, changes)
    found.find_next()
    found.save()
    return reading.batch(database, clock.now(), batch, None)


def drop(database: Database, clock: Clock, batch: str, seq: int, actor: str | None) -> bool:
    """Mark one active item to be dropped; see `Control.drop`."""
    found = _known(database, clock, batch)
    if not database.run("live_drop", {"batch": found.row.id, "seq": seq}):
        return False
    found.event("item_aborted", actor, {"seq": seq})
    return True


def erase_batch(database: Database, clock: Clock, batch: str, actor: str | None) -> None:
    """Hide an ended batch; see `Control.erase_batch`."""
    found = _known(database, clock, batch)
    if found.row.completed_at is None:
        raise Conflict("the batch has not ended: cancel it first, and wait for its active items", code="not_ended")
    database.run("batch_erase", {"batch": found.row.id, "now": micros(clock.now())})
    found.event("erased", actor)
