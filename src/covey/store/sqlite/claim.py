"""Claim: hand out the next items of a lane, fairly, within every limit."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from covey.domain.errors import Conflict
from covey.domain.hours import next_opening
from covey.domain.ids import item_id
from covey.domain.lane import START_HORIZON, START_SLACK, gap, next_free, start_times
from covey.domain.run import DO_NOT_CALL, Bite, Claimed, RunState
from covey.store.ports import Claim
from covey.store.sqlite import control
from covey.store.sqlite.database import Database, Row, micros, moment
from covey.store.sqlite.hot import Hot, hot

PROBE_PATIENCE = timedelta(seconds=60)
"""How long a half-open lane waits for the outcome of its probe before it lets another item try."""

REF_PATIENCE = timedelta(seconds=1)
"""How long an item waits whose ref is active elsewhere."""

GATE_ROWS = 1000
"""How many items one claim looks at: a long run of items that may not start must not hold up everybody."""

ASIDE = timedelta(milliseconds=50)
"""How long a batch steps aside of which one claim looked at GATE_ROWS items and could start none."""

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


def claim(database: Database, now: datetime, worker: str, lane: str, room: int) -> Claim:
    """Take one bite of the lane; see `Claims.claim`."""
    if not database.value("worker_alive", {"worker": worker}):
        raise Conflict("this worker was given up; its process must end", code="worker_gone")
    limit = database.row("lane_row", {"lane": lane})
    if limit is None or room < 1:
        return Claim(None, None)
    if limit.open_until is not None and limit.open_until > micros(now):
        return Claim(None, moment(limit.open_until))
    if limit.active >= limit.cap:
        return Claim(None, None)
    choice = database.row("choose", {"lane": lane, "now": micros(now)})
    if choice is None:
        return Claim(None, moment(database.value("next_due", {"lane": lane})))
    found = hot(database, choice.batch, micros(now))
    assert found is not None, "counts without a batch"
    return _bite(database, now, worker, limit, found, _fair_part(limit, choice, room))


def _fair_part(limit: Row, choice: Row, room: int) -> int:
    free = limit.cap - limit.active
    share = max(1, free // choice.shares)
    part = max(1, share // choice.batches)
    return 1 if limit.open_until is not None else int(min(room, part, free))


def _bite(database: Database, now: datetime, worker: str, limit: Row, batch: Hot, most: int) -> Claim:
    row = batch.row
    if row.expires_at is not None and row.expires_at <= micros(now):
        control.expire_one(database, micros(now), batch)
        return Claim(None, now)
    if batch.slots is not None:
        most = min(most, batch.slots)
    limit.next_start = micros(next_free(moment(limit.next_start), limit.pace, now))
    row.next_start = micros(next_free(moment(row.next_start), row.pace, now))
    starts = list(islice(_start_times(now, limit, row), most))
    if not starts:
        return _too_early(now, limit, batch)
    taken = _gate(database, now, batch, len(starts))
    _write_items(database, now, worker, batch, taken, starts)
    _take_slots(database, now, limit, batch, taken, starts)
    if not taken.started and batch.row.next_at is not None:
        batch.row.next_at = max(batch.row.next_at, micros(now + ASIDE))
    batch.save()
    if not taken.started:
        return Claim(None, now)
    slack = START_SLACK if limit.pace or row.pace else None
    return Claim(_handed_out(database, now, batch, taken.started, starts, slack), now)


def _start_times(now: datetime, limit: Row, row: Row) -> Iterator[datetime]:
    lane = (moment(limit.next_start), gap(limit.pace))
    own = (moment(row.next_start), gap(row.pace))
    return start_times(now, lane, own)


def _too_early(now: datetime, limit: Row, batch: Hot) -> Claim:
    """No start time is free yet. If that is by the batch's own limits, it stands in nobody's way until one is."""
    own = moment(batch.row.next_start)
    if batch.slots == 0 or (batch.row.pace and own and own > now + START_HORIZON):
        batch.find_next()
        batch.save()
        return Claim(None, now)
    return Claim(None, moment(limit.next_start) - START_HORIZON)


def _gate(database: Database, now: datetime, batch: Hot, wanted: int) -> Taken:
    """Look at items, due ones first, until `wanted` may start: the others are deferred or blocked on the way."""
    taken, refs = Taken(), set[str]()
    for candidate in _candidates(database, now, batch, wanted):
        _judge(database, now, batch.row, candidate, taken, refs)
        if len(taken.started) == wanted:
            break
    return taken


def _candidates(database: Database, now: datetime, batch: Hot, wanted: int) -> Iterator[Candidate]:
    row, looked = batch.row, 0
    if row.deferred:
        due = {"batch": row.id, "now": micros(now), "limit": wanted + GATE_MARGIN}
        for values in database.rows("due_items", due):
            looked += 1
            yield Candidate(*values)
    while looked < GATE_ROWS or looked < wanted:
        page = {"batch": row.id, "cursor": row.cursor, "limit": min(max(wanted, looked), row.total - row.cursor)}
        there = database.rows("cursor_items", page) if page["limit"] else []
        if not there:
            return
        for values in there:
            looked += 1
            row.cursor += 1
            yield Candidate(*values)


def _judge(database: Database, now: datetime, row: Row, item: Candidate, taken: Taken, refs: set[str]) -> None:
    if item.ref is not None:
        about = {"workspace": row.workspace, "ref": item.ref}
        if database.value("is_blocked", about):
            taken.blocked.append(item)
            return
        if row.exclusive and (item.ref in refs or database.value("is_busy", about)):
            taken.deferred.append((item, now + REF_PATIENCE, "ref_active"))
            return
    opening = next_opening(row.hours, item.zone, now) if row.hours else None
    if opening is not None:
        taken.deferred.append((item, opening, "outside_hours"))
        return
    if item.ref is not None:
        refs.add(item.ref)
    taken.started.append(item)


def _write_items(
    database: Database, now: datetime, worker: str, batch: Hot, taken: Taken, starts: list[datetime]
) -> None:
    row, id_ = batch.row, batch.row.id
    started = [(item, micros(at)) for item, at in zip(taken.started, starts, strict=False)]
    database.many("live_new", [(id_, i.seq, 1, 1, at, worker, at, None) for i, at in started if i.attempt is None])
    database.many(
        "live_activate", [(i.next_attempt, worker, at, id_, i.seq) for i, at in started if i.attempt is not None]
    )
    if row.exclusive:
        database.many("take_ref", [(row.workspace, i.ref, id_, i.seq) for i, _ in started if i.ref is not None])
    later = [(item, micros(at), why) for item, at, why in taken.deferred]
    database.many("live_new", [(id_, i.seq, 0, 0, at, None, None, why) for i, at, why in later if i.attempt is None])
    database.many(
        "live_defer",
        [(i.tries, i.returns, i.losses, at, why, None, id_, i.seq) for i, at, why in later if i.attempt is not None],
    )
    database.many("live_end", [(id_, item.seq) for item in taken.blocked if item.attempt is not None])
    database.many("run_new", [_blocked_run(id_, item, micros(now)) for item in taken.blocked])


def _blocked_run(batch: bytes, item: Candidate, now: int) -> tuple[object, ...]:
    message = "The workspace keeps this from being touched"
    state = RunState.canceled.value
    return (batch, item.seq, item.next_attempt, 1, state, DO_NOT_CALL, message, None, item.tries, None, now, 0.0, b"{}")


def _take_slots(
    database: Database, now: datetime, limit: Row, batch: Hot, taken: Taken, starts: list[datetime]
) -> None:
    row, n = batch.row, len(taken.started)
    once_deferred = sum(1 for item in (*taken.started, *taken.blocked) if item.attempt is not None)
    row.deferred += sum(1 for item, _, _ in taken.deferred if item.attempt is None) - once_deferred
    row.canceled += len(taken.blocked)
    row.active += n
    if taken.blocked:
        batch.count_code(DO_NOT_CALL, len(taken.blocked))
        row.last_ended_at = micros(now)
    batch.served_at = micros(now)
    if n:
        _start_batch(database, now, batch)
        last = starts[n - 1]
        row.next_start = micros(last + gap(row.pace))
        database.run("limit_take", {"lane": row.lane, "n": n, "next_start": micros(last + gap(limit.pace))})
        database.run("share_take", {"lane": row.lane, "workspace": row.workspace, "n": n, "now": micros(now)})
        _mark_probe(database, now, limit, batch, taken.started[0])
    batch.find_next()


def _start_batch(database: Database, now: datetime, batch: Hot) -> None:
    if batch.row.started_at is None:
        batch.row.started_at = micros(now)
        database.run("batch_start", {"batch": batch.row.id, "now": micros(now)})
        batch.event("started")


def _mark_probe(database: Database, now: datetime, limit: Row, batch: Hot, item: Candidate) -> None:
    if limit.open_until is not None:
        probe = item_id(batch.row.id.hex(), item.seq)
        until = micros(now + PROBE_PATIENCE)
        database.run("limit_probe", {"lane": limit.lane, "until": until, "probe": probe})


def _handed_out(
    database: Database,
    now: datetime,
    batch: Hot,
    started: list[Candidate],
    starts: list[datetime],
    slack: timedelta | None,
) -> Bite:
    row = batch.row
    runs = tuple(
        Claimed(item.seq, item.next_attempt, item.tries, item.custom_id, item.ref, item.input, at)
        for item, at in zip(started, starts, strict=False)
    )
    config = database.value("batch_config", {"batch": row.id})
    return Bite(row.id.hex(), row.workspace, row.kind, row.lane, config, now, runs, slack)
