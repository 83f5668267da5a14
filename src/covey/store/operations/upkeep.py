"""What the sweeper does, in pieces that hold nobody up. One process sweeps at a time: the others find nothing to do."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta

from covey.domain.batch import StopReason
from covey.store.operations.control import expire_one, stop_open
from covey.store.operations.counts import hots, save
from covey.store.operations.settle import release_held
from covey.store.operations.transaction import Database, key, lock, micros

ANSWERS_KEPT = timedelta(hours=24)
ROOM_BYTES = 64 * 1024
"""So much room there has to be: a smaller write may find some where no request does."""


async def check_room(database: Database, worker: str) -> None:
    """Write something, and take it back. Raises Unavailable, DatabaseFull.

    It is an idempotent request of no workspace, whose digest no database can compress."""
    row = {"workspace": "", "key": worker}
    facts = {**row, "route": "", "digest": os.urandom(ROOM_BYTES), "owner": worker, "created": None}
    await database.run("answer_begin", {**facts, "now": micros(await database.now())})
    await database.write("answer_forget", row)


async def expire(database: Database, limit: int = 100) -> list[str]:
    """Stop the batches whose `expires_at` has passed; the batches."""
    asked = {"now": micros(await database.now()), "limit": limit}
    due = [id_ for (id_,) in await database.rows("expired_batches", asked)]
    if not due:
        return []
    now = micros(await lock(database, due))
    over = [batch for batch in (await hots(database, due, now)).values() if batch.open or batch.may_be_dropped]
    for batch in over:
        await expire_one(database, batch)
    return [batch.row.id.hex() for batch in over]


async def stop_stranded(database: Database, lanes: Sequence[str], due_before: datetime, limit: int = 100) -> list[str]:
    """Stop (`fail`) the batches that were due before a time and whose lane is none of these; the batches."""
    asked = {"lanes": database.array(list(lanes)), "before": micros(due_before), "limit": limit}
    stranded = [id_ for (id_,) in await database.rows("stranded_batches", asked)]
    if not stranded:
        return []
    now = micros(await lock(database, stranded))
    left = [batch for batch in (await hots(database, stranded, now)).values() if batch.open]
    for batch in left:
        why = f"Its lane, {batch.row.lane}, is in the settings no more"
        await stop_open(database, batch, StopReason.fail, message=why, actor=None)
    await save(database, left)
    return [batch.row.id.hex() for batch in left]


async def sweep_drafts(database: Database, me: str) -> int:
    """Remove drafts whose owner is dead."""
    swept = 0
    for (id_,) in sorted(await database.rows("orphaned_drafts", {"me": me})):
        await database.lock("lock_draft", {"batch": id_})
        if await database.row("draft_row", {"batch": id_}) is not None:
            await database.write("batch_erase", {"batch": id_, "now": micros(await database.now())})
            swept += 1
    return swept


async def next_erased(database: Database, after: str | None = None) -> str | None:
    """The batch that was erased first, or next after the batch `after`, of those whose rows are still there; None
    if there is none, or if `after` is gone."""
    found: bytes | None = await database.value("erased_next", {"after": None if after is None else key(after)})
    return None if found is None else found.hex()


async def sweep_erased(database: Database, limit: int = 500, batch: str | None = None) -> list[str]:
    """Remove a piece of the rows of an erased batch (None: of whichever were erased first); the batches now gone
    entirely. Nothing knows of a batch's files any more when its rows are gone, so they have to go before. What
    still waits to be told of them stays."""
    gone: list[str] = []
    if not await database.alone("sweep_erased"):
        return gone
    erased = await database.rows("erased_batches", {"batch": None if batch is None else key(batch)})
    await lock(database, [id_ for (id_,) in erased])
    for (id_,) in erased:
        piece = {"batch": id_, "limit": limit}
        for statement in ("runs_remove", "live_remove", "items_remove", "deliveries_remove"):
            if await database.run(statement, piece):
                return gone
        await database.write("endpoints_orphan", {"batch": id_, "now": micros(await database.now())})
        for statement in ("outcomes_remove", "events_remove", "counts_remove", "batch_remove"):
            await database.write(statement, {"batch": id_})
        gone.append(id_.hex())
    return gone


async def sweep_leftovers(database: Database, limit: int = 500) -> int:
    """Remove what stopped batches left deferred, slots held past their time, idempotency answers past 24 h."""
    if not await database.alone("sweep_leftovers"):
        return 0
    swept, stopped = 0, await database.rows("leftover_batches", {})
    await lock(database, [id_ for (id_,) in stopped])
    for (id_,) in stopped:
        await database.write("leftovers_end", {"batch": id_, "limit": limit})
        removed = await database.run("live_remove", {"batch": id_, "limit": limit})
        swept += removed
        if removed < limit:
            await database.write("batch_swept", {"batch": id_})
    now = await database.now()
    swept += await _release_past(database, now, limit)
    return swept + await database.run("idempotency_old", {"before": micros(now - ANSWERS_KEPT), "limit": limit})


async def _release_past(database: Database, now: datetime, limit: int) -> int:
    past = await database.named("held_past", {"now": micros(now), "limit": limit})
    if past:
        await database.lock("lock_lanes", {"lanes": sorted({slot.lane for slot in past})})
    return await release_held(database, past)


async def retire_batches(database: Database, limit: int = 100) -> int:
    """Erase the batches that have ended and whose time to be deleted has come."""
    now = micros(await database.now())
    old = await database.rows("old_batches", {"now": now, "limit": limit})
    for (id_,) in old:
        await database.write("batch_erase", {"batch": id_, "now": now})
    return len(old)
