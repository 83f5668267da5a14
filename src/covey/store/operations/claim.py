"""Claim: hand out the next items of a lane, fairly, within every limit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from covey.domain.errors import Conflict
from covey.domain.hours import next_opening
from covey.domain.ids import item_id
from covey.domain.lane import LONGEST_OPEN, START_HORIZON, START_SLACK, gap, next_free, start_times
from covey.domain.run import DO_NOT_CALL, Claimed, ClaimedRuns, RunState
from covey.store.operations import control
from covey.store.operations.counts import LockedBatch, locked_batch, save
from covey.store.operations.rows import ChoiceRow, LaneRow, LockedRow
from covey.store.operations.runs import UNUSED
from covey.store.operations.transaction import Database, lock, micros, moment, pass_gate
from covey.store.results import Claim

PROBE_PATIENCE = timedelta(seconds=60)
"""How long a half-open lane waits for the outcome of its probe before it lets another item try."""

LONGEST_HOLD = max(LONGEST_OPEN, PROBE_PATIENCE)
"""No breaker is opened for longer at once."""

REF_PATIENCE = timedelta(seconds=1)
"""How long an item waits whose ref is active elsewhere."""

GATE_ROWS = 1000
"""How many items one claim looks at: a long run of items that may not start must not hold up everybody."""

ASIDE = timedelta(milliseconds=50)
"""How long a batch steps aside of which one claim looked at GATE_ROWS items and could start none."""

SHARE_ASIDE = timedelta(milliseconds=100)
"""How long all others go before a workspace of which a claim could start nothing: it may have any number of batches
that wait for one ref, or for the morning."""

GATE_MARGIN = 64
"""How many more due items than wanted one claim looks at, as some of them may not start after all."""


class Candidate(NamedTuple):
    """An item that may be started, as `due_items` and `cursor_items` give it. `attempt` None: from the cursor."""

    seq: int
    attempt: int | None
    tries: int
    returns: int
    losses: int
    custom_id: str | None
    ref: str | None
    zone: str | None
    input: bytes

    @property
    def next_attempt(self) -> int:
        return (self.attempt or 0) + 1


@dataclass(slots=True)
class Taken:
    """What became of the items that one claim looked at."""

    started: list[Candidate] = field(default_factory=list)
    deferred: list[tuple[Candidate, datetime, str]] = field(default_factory=list)
    blocked: list[Candidate] = field(default_factory=list)
    refs: set[str] = field(default_factory=set)


class Refs(NamedTuple):
    """Of the refs of some candidates: those never to be touched, and those active elsewhere in the workspace."""

    blocked: set[str]
    busy: set[str]


async def claim(database: Database, worker: str, lane: str, capacity: int) -> Claim:
    """Take at most `room` items of one batch of the lane, fairly chosen, within every limit.

    Raises Conflict `worker_gone` if the worker was given up.
    """
    if not await database.value("worker_alive", {"worker": worker}):
        raise Conflict("this worker was given up; its process must end", code="worker_gone")
    await pass_gate(database, lane)
    now = await database.now()
    limit = await database.row("lane_row", {"lane": lane})
    if limit is None or capacity < 1:
        return Claim(None, None)
    if (closed := _closed(limit, now)) is not None:
        return closed
    asked = {"lane": lane, "now": micros(now), "aside": micros(now - SHARE_ASIDE)}
    choice = await database.row("choose", asked)
    if choice is None:
        return Claim(None, moment(await database.value("next_due", {"lane": lane})))
    now = await lock(database, [choice.batch], lanes=True)
    limit = await database.row("lane_row", {"lane": lane})
    batch = await locked_batch(database, choice.batch, micros(now))
    assert limit is not None, "a lane is never removed"
    if (closed := _closed(limit, now)) is not None:
        return closed
    if batch is None or not batch.may_start:
        return Claim(None, now)
    return await _portion(database, now, worker, limit, batch, _fair_part(limit, choice, capacity))


def _closed(limit: LaneRow, now: datetime) -> Claim | None:
    """The answer of a lane that can start nothing now, whatever waits. One that is open for longer than any is opened
    for was so before the clock was set back: it is probed."""
    if limit.open_until is not None and micros(now) < limit.open_until <= micros(now + LONGEST_HOLD):
        return Claim(None, moment(limit.open_until))
    return Claim(None, None) if limit.active >= limit.cap else None


def _fair_part(limit: LaneRow, choice: ChoiceRow, capacity: int) -> int:
    free = limit.cap - limit.active
    share = max(1, free // choice.shares)
    part = max(1, share // choice.batches)
    return 1 if limit.open_until is not None else int(min(capacity, part, free))


async def _portion(
    database: Database, now: datetime, worker: str, limit: LaneRow, batch: LockedBatch, most: int
) -> Claim:
    row = batch.row
    if row.expires_at is not None and row.expires_at <= micros(now):
        await control.expire_one(database, batch)
        return Claim(None, now)
    if batch.broke:
        await control.stop_broke(database, batch)
        await save(database, [batch])
        return Claim(None, now)
    if batch.slots is not None:
        most = min(most, batch.slots)
    before, limit.next_start = limit.next_start, micros(next_free(moment(limit.next_start), limit.pace, now))
    if limit.next_start != before:
        kept = {"lane": limit.lane, "n": 0, "served_at": limit.served_at, "next_start": limit.next_start}
        await database.write("limit_take", kept)
    row.next_start = micros(next_free(moment(row.next_start), row.pace, now))
    starts = list(islice(_start_times(now, limit, row), most))
    if not starts:
        return await _too_early(database, now, limit, batch)
    taken = await _gate(database, now, batch, len(starts))
    await _write_items(database, worker, batch, taken, starts)
    await _take_slots(database, now, limit, batch, taken, starts)
    batch.find_next(not_before=None if taken.started else micros(now + ASIDE))
    await save(database, [batch])
    if not taken.started:
        return Claim(None, now)
    slack = START_SLACK if limit.pace or row.pace else None
    return Claim(await _handed_out(database, now, batch, taken.started, starts, slack), now)


def _start_times(now: datetime, limit: LaneRow, row: LockedRow) -> Iterator[datetime]:
    lane = (moment(limit.next_start), gap(limit.pace))
    own = (moment(row.next_start), gap(row.pace))
    return start_times(now, lane, own)


async def _too_early(database: Database, now: datetime, limit: LaneRow, batch: LockedBatch) -> Claim:
    """No start time is free yet. If that is by the batch's own limits, it steps aside until one is."""
    own = moment(batch.row.next_start)
    if batch.slots == 0 or (batch.row.pace and own and own > now + START_HORIZON):
        batch.find_next()
        await save(database, [batch])
        return Claim(None, now)
    return Claim(None, moment(limit.next_start) - START_HORIZON)


async def _gate(database: Database, now: datetime, batch: LockedBatch, wanted: int) -> Taken:
    """Look at items, due ones first, until `wanted` may start: the others are deferred or blocked on the way."""
    row, taken, looked = batch.row, Taken(), 0
    page = await _due_items(database, now, row, wanted) if row.deferred else []
    while True:
        await _look(database, now, row, page, taken, wanted)
        looked += len(page)
        if len(taken.started) == wanted or row.cursor == row.total or looked >= max(GATE_ROWS, wanted):
            break
        page = await _cursor_items(database, row, max(wanted, looked))
    await _take_refs(database, now, row, taken)
    return taken


async def _due_items(database: Database, now: datetime, row: LockedRow, wanted: int) -> list[Candidate]:
    asked = {"batch": row.id, "now": micros(now), "limit": wanted + GATE_MARGIN}
    return [Candidate(*values) for values in await database.rows("due_items", asked)]


async def _cursor_items(database: Database, row: LockedRow, most: int) -> list[Candidate]:
    asked = {"batch": row.id, "cursor": row.cursor, "limit": min(most, row.total - row.cursor)}
    return [Candidate(*values) for values in await database.rows("cursor_items", asked)]


async def _look(
    database: Database, now: datetime, row: LockedRow, page: list[Candidate], taken: Taken, wanted: int
) -> None:
    """Judge the items of a page, until `wanted` may start."""
    known = await _known_refs(database, row, page)
    for candidate in page:
        if candidate.attempt is None:
            row.cursor += 1
        _judge(now, row, candidate, taken, known)
        if len(taken.started) == wanted:
            return


async def _known_refs(database: Database, row: LockedRow, page: Sequence[Candidate]) -> Refs:
    """What is known of the refs of a page of candidates."""
    refs = [item.ref for item in page if item.ref is not None]
    if not refs:
        return Refs(set(), set())
    about = {"workspace": row.workspace, "refs": database.array(refs)}
    blocked = {ref for (ref,) in await database.rows("blocked_among", about)}
    busy = {ref for (ref,) in await database.rows("busy_among", about)} if row.exclusive else set[str]()
    return Refs(blocked, busy)


def _judge(now: datetime, row: LockedRow, item: Candidate, taken: Taken, known: Refs) -> None:
    if item.ref is not None and item.ref in known.blocked:
        taken.blocked.append(item)
        return
    if row.exclusive and item.ref is not None and (item.ref in taken.refs or item.ref in known.busy):
        taken.deferred.append((item, now + REF_PATIENCE, "ref_active"))
        return
    opening = next_opening(row.hours, item.zone, now) if row.hours else None
    if opening is not None:
        taken.deferred.append((item, opening, "outside_hours"))
        return
    if item.ref is not None:
        taken.refs.add(item.ref)
    taken.started.append(item)


async def _take_refs(database: Database, now: datetime, row: LockedRow, taken: Taken) -> None:
    """Mark the refs of what is to start as active. Another lane's claim may have been faster with some of them."""
    about = [item for item in taken.started if item.ref is not None] if row.exclusive else []
    if not about:
        return
    asked = {"refs": database.array([str(i.ref) for i in about]), "seqs": database.array([i.seq for i in about])}
    rows = await database.rows("take_refs", {"workspace": row.workspace, "batch": row.id, **asked})
    ours = {ref for (ref,) in rows}
    late = [item for item in about if item.ref not in ours]
    if late:
        taken.deferred.extend((item, now + REF_PATIENCE, "ref_active") for item in late)
        taken.started = [item for item in taken.started if item not in late]


async def _write_items(
    database: Database, worker: str, batch: LockedBatch, taken: Taken, starts: list[datetime]
) -> None:
    id_ = batch.row.id
    started = [(item, micros(at)) for item, at in zip(taken.started, starts, strict=False)]
    later = [(item, micros(at), why) for item, at, why in taken.deferred]
    new: list[tuple[Any, ...]] = [(id_, i.seq, 1, 1, at, worker, at, None) for i, at in started if i.attempt is None]
    new += [(id_, i.seq, 0, 0, at, None, None, why) for i, at, why in later if i.attempt is None]
    again = [(i.next_attempt, worker, at, id_, i.seq) for i, at in started if i.attempt is not None]
    put_off = [
        (i.tries, i.returns, i.losses, at, why, None, id_, i.seq) for i, at, why in later if i.attempt is not None
    ]
    await database.many("live_new", new)
    await database.many("live_activate", again)
    await database.many("live_defer", put_off)
    await database.many("live_end", [(id_, item.seq) for item in taken.blocked if item.attempt is not None])
    await database.many("run_new", [_blocked_run(id_, item, batch.now) for item in taken.blocked])


def _blocked_run(batch: bytes, item: Candidate, now: int) -> tuple[object, ...]:
    message = "On the workspace's do-not-call list"
    state = RunState.canceled.value
    end = (state, DO_NOT_CALL, message, None, item.tries, None, now, *UNUSED, b"{}")
    return (batch, item.seq, item.next_attempt, 1, *end)


async def _take_slots(
    database: Database, now: datetime, limit: LaneRow, batch: LockedBatch, taken: Taken, starts: list[datetime]
) -> None:
    """Take the slots of what is to start, and the turn: turns follow each other even where a clock was set back."""
    row, n = batch.row, len(taken.started)
    once_deferred = sum(1 for item in (*taken.started, *taken.blocked) if item.attempt is not None)
    row.deferred += sum(1 for item, _, _ in taken.deferred if item.attempt is None) - once_deferred
    row.canceled += len(taken.blocked)
    row.active += n
    row.served_at = turn = max(batch.now, limit.served_at + 1)
    if taken.blocked:
        batch.codes[DO_NOT_CALL] += len(taken.blocked)
        row.last_ended_at = batch.now
    if not n:
        await database.write("share_aside", {"lane": row.lane, "workspace": row.workspace, "now": batch.now})
        return
    await _start_batch(database, batch)
    last = starts[n - 1]
    row.next_start = micros(last + gap(row.pace))
    took = {"lane": row.lane, "n": n, "served_at": turn}
    await database.write("limit_take", {**took, "next_start": micros(last + gap(limit.pace))})
    await database.write("share_take", {**took, "workspace": row.workspace})
    await _mark_probe(database, now, limit, batch, taken.started[0])


async def _start_batch(database: Database, batch: LockedBatch) -> None:
    if batch.row.started_at is None:
        batch.row.started_at = batch.now
        await database.write("batch_start", {"batch": batch.row.id, "now": batch.now})
        batch.event("started")


async def _mark_probe(database: Database, now: datetime, limit: LaneRow, batch: LockedBatch, item: Candidate) -> None:
    if limit.open_until is not None:
        probe = item_id(batch.row.id.hex(), item.seq)
        until = micros(now + PROBE_PATIENCE)
        await database.write("limit_probe", {"lane": limit.lane, "until": until, "probe": probe})


async def _handed_out(
    database: Database,
    now: datetime,
    batch: LockedBatch,
    started: list[Candidate],
    starts: list[datetime],
    slack: timedelta | None,
) -> ClaimedRuns:
    row = batch.row
    runs = tuple(
        Claimed(item.seq, item.next_attempt, item.tries, item.custom_id, item.ref, item.input, at)
        for item, at in zip(started, starts, strict=False)
    )
    config = await database.value("batch_config", {"batch": row.id})
    return ClaimedRuns(row.id.hex(), row.workspace, row.kind, row.lane, config, now, runs, slack)
