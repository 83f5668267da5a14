"""Settling the runs of dead workers, and the slots that outlive the settling: a far side may still be busy."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta

from covey.domain.run import Lost, decide
from covey.store.operations.counts import LockedBatch, hots, save
from covey.store.operations.rows import HeldRow, LiveRow
from covey.store.operations.runs import BudgetUsed, Ended, RunRecorder, free_slots, standing
from covey.store.operations.transaction import Database, lock, micros, moment, pass_gates_of, span_micros

PIECE = 500
"""How many runs one settling deals with."""


async def settle(database: Database, worker: str, hold: Mapping[str, timedelta]) -> int:
    """Settle some of a dead worker's runs by the outcome table; how many are left.

    Their slots stay taken for as long as `hold` says of their lane: a far side may still be busy with them.
    """
    asked = {"worker": worker, "limit": PIECE}
    seen = {live.batch for live in await database.named("live_of_worker", asked)}
    if not seen:
        return 0
    await pass_gates_of(database, list(seen))
    now = micros(await lock(database, list(seen), lanes=True))
    batches = await hots(database, sorted(seen), now)
    written = RunRecorder()
    for live in await database.named("live_of_worker", asked):
        if live.batch in batches:
            await _settle_run(database, worker, batches[live.batch], live, hold, written)
    await written.write(database)
    await save(database, list(batches.values()))
    return int(await database.value("live_count_of_worker", {"worker": worker}))


async def _settle_run(
    database: Database,
    worker: str,
    batch: LockedBatch,
    live: LiveRow,
    hold: Mapping[str, timedelta],
    written: RunRecorder,
) -> None:
    row = batch.row
    facts = standing(row, BudgetUsed(live.tries, live.returns, live.losses, 0, live.dropped), True)
    run = Ended(live.seq, live.attempt, live.tries, worker, live.started_at, batch.now)
    written.record(batch, run, decide(Lost(), facts, moment(batch.now)))
    batch.find_next()
    if row.lane not in hold or row.repeatable:
        written.free(batch, live.seq)
        return
    slot = (row.id, live.seq, live.attempt, row.lane, row.workspace)
    await database.many(
        "held_new", [(*slot, live.ref if row.exclusive else None, batch.now + span_micros(hold[row.lane]))]
    )


async def release_held(database: Database, rows: Iterable[HeldRow]) -> int:
    """Give back the slots and refs of settled runs, whose lanes are locked; how many."""
    slots, shares, refs = Counter[str](), Counter[tuple[str, str]](), []
    for slot in rows:
        where = {"batch": slot.batch, "seq": slot.seq, "attempt": slot.attempt}
        if await database.run("held_end", where):
            slots[slot.lane] += 1
            shares[slot.lane, slot.workspace] += 1
            if slot.ref is not None:
                refs.append((slot.workspace, slot.ref, slot.batch, slot.seq))
    await free_slots(database, slots, shares)
    await database.many("free_ref", refs)
    return slots.total()
