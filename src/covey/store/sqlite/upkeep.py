"""What the sweeper does, in pieces that hold nobody up."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from covey.domain.batch import StopReason
from covey.domain.clock import Clock
from covey.store.sqlite.control import expire_one, stop_open
from covey.store.sqlite.database import Database, micros, text
from covey.store.sqlite.finish import release_held
from covey.store.sqlite.hot import hot

ANSWERS_KEPT = timedelta(hours=24)


def expire(database: Database, clock: Clock, limit: int) -> list[str]:
    """See `Upkeep.expire`."""
    now, expired = micros(clock.now()), []
    for (id_,) in database.rows("expired_batches", {"now": now, "limit": limit}):
        batch = hot(database, id_, now)
        if batch is not None:
            expire_one(database, now, batch)
            expired.append(id_.hex())
    return expired


def stop_stranded(
    database: Database, clock: Clock, lanes: Sequence[str], due_before: datetime, limit: int
) -> list[str]:
    """See `Upkeep.stop_stranded`."""
    now, stopped = micros(clock.now()), []
    asked = {"lanes": text(list(lanes)), "before": micros(due_before), "limit": limit}
    for (id_,) in database.rows("stranded_batches", asked):
        batch = hot(database, id_, now)
        if batch is not None:
            why = f"Its lane, {batch.row.lane}, is in the settings no more"
            stop_open(database, now, batch, StopReason.fail, message=why, actor=None)
            stopped.append(id_.hex())
    return stopped


def sweep_drafts(database: Database, clock: Clock, me: str) -> int:
    """See `Upkeep.sweep_drafts`."""
    orphans = database.rows("orphaned_drafts", {"me": me})
    for (id_,) in orphans:
        database.run("batch_erase", {"batch": id_, "now": micros(clock.now())})
    return len(orphans)


def sweep_erased(database: Database, limit: int) -> list[str]:
    """See `Upkeep.sweep_erased`."""
    gone: list[str] = []
    for (id_,) in database.rows("erased_batches", {}):
        piece = {"batch": id_, "limit": limit}
        for statement in ("runs_remove", "live_remove", "items_remove"):
            if database.run(statement, piece):
                return gone
        for statement in ("outcomes_remove", "events_remove", "counts_remove", "batch_remove"):
            database.run(statement, {"batch": id_})
        gone.append(id_.hex())
    return gone


def sweep_leftovers(database: Database, clock: Clock, limit: int) -> int:
    """See `Upkeep.sweep_leftovers`."""
    now = clock.now()
    swept = 0
    for (id_,) in database.rows("leftover_batches", {}):
        database.run("leftovers_end", {"batch": id_, "limit": limit})
        removed = database.run("live_remove", {"batch": id_, "limit": limit})
        swept += removed
        if removed < limit:
            database.run("batch_swept", {"batch": id_})
    swept += release_held(database, database.named("held_past", {"now": micros(now), "limit": limit}))
    return swept + database.run("idempotency_old", {"before": micros(now - ANSWERS_KEPT), "limit": limit})


def retire_batches(database: Database, clock: Clock, kind: str, ended_before: datetime, limit: int) -> int:
    """See `Upkeep.retire_batches`."""
    old = database.rows("old_batches", {"kind": kind, "before": micros(ended_before), "limit": limit})
    for (id_,) in old:
        database.run("batch_erase", {"batch": id_, "now": micros(clock.now())})
    return len(old)
