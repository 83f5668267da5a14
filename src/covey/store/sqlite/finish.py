"""Finish: write down what came of runs, fenced, decided by the outcome table, all in one transaction."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from covey.domain.breaker import Breaker, blame
from covey.domain.ids import item_id
from covey.domain.lane import BATCH_STREAK, OWN_CODES, PATIENCE_CODES
from covey.domain.run import (
    OUTCOME_UNKNOWN,
    Blame,
    Defer,
    End,
    Failed,
    Finished,
    Lost,
    Retry,
    RunState,
    Standing,
    Succeeded,
    decide,
)
from covey.store.ports import FinishReport
from covey.store.sqlite.database import Database, Row, dump, micros, moment, span_micros
from covey.store.sqlite.hot import Hot, hot

LATELY = span_micros(timedelta(minutes=1))
"""So long before a run's start its lane may have worked last, for the run's first return to count against the item."""


@dataclass(slots=True)
class Written:
    """The rows that a batch's outcomes come to."""

    ended: list[tuple[bytes, int]] = field(default_factory=list)
    deferred: list[tuple[Any, ...]] = field(default_factory=list)
    runs: list[tuple[Any, ...]] = field(default_factory=list)
    slots: int = 0


class Spent(NamedTuple):
    """The budgets that an item has spent, and since when its lane must have worked for others if one more return is
    to count (microseconds)."""

    tries: int
    returns: int
    losses: int
    since: int


class Ended(NamedTuple):
    """A run that came to its end: who had it when (microseconds), and the tries spent before it."""

    seq: int
    attempt: int
    tries: int
    worker: str
    started_at: int | None
    ended_at: int


@dataclass(slots=True)
class LaneBreaker:
    """A lane's breaker while a finish changes it."""

    lane: str
    before: Breaker
    now: Breaker

    def worked_since(self, at: int) -> bool:
        """Whether the lane proved that it works after a moment (microseconds)."""
        return self.now.worked_at is not None and micros(self.now.worked_at) > at


def finish(database: Database, now: datetime, worker: str, finished: Sequence[Finished]) -> FinishReport:
    """Record runs; see `Finishes.finish`."""
    by_batch: dict[str, list[Finished]] = defaultdict(list)
    for one in finished:
        by_batch[one.batch].append(one)
    stale: list[tuple[str, int, int]] = []
    ended: list[str] = []
    paused: list[str] = []
    breakers: dict[str, LaneBreaker] = {}
    for id_ in sorted(by_batch):
        batch = hot(database, bytes.fromhex(id_), micros(now))
        if batch is None:
            stale.extend((one.batch, one.seq, one.attempt) for one in by_batch[id_])
            continue
        lane = breakers.setdefault(batch.row.lane, _breaker(database, batch.row.lane))
        opens = lane.now.opens
        stale.extend(_finish_batch(database, now, worker, batch, by_batch[id_], lane))
        if _pause_failing(database, now, batch, lane.now, opens):
            paused.append(id_)
        if batch.save():
            ended.append(id_)
    for lane in breakers.values():
        _save_breaker(database, lane)
    return FinishReport(len(finished) - len(stale), tuple(stale), tuple(ended), tuple(paused))


def _finish_batch(
    database: Database, now: datetime, worker: str, batch: Hot, finished: Iterable[Finished], lane: LaneBreaker
) -> list[tuple[str, int, int]]:
    written, stale, seen = Written(), list[tuple[str, int, int]](), set[int]()
    for one in finished:
        live = None if one.seq in seen else _fenced(database, batch, one, worker)
        if live is None:
            if one.seq in seen or not _late_truth(database, batch, one, worker):
                stale.append((one.batch, one.seq, one.attempt))
            continue
        seen.add(one.seq)
        lane.now = lane.now.after(item_id(one.batch, one.seq), one.outcome, now)
        works = lane.now.closed and (blame(one.outcome) is Blame.nothing or lane.worked_since(live.since))
        decision = decide(one.outcome, _standing(batch.row, live, works), now)
        run = Ended(one.seq, one.attempt, live.tries, worker, micros(one.started_at), micros(one.ended_at))
        record(batch, written, run, decision, micros(now))
    _write(database, batch, written)
    return stale


def _fenced(database: Database, batch: Hot, one: Finished, worker: str) -> Spent | None:
    """The budgets spent by an item that is in this worker's hands in this attempt."""
    rows = database.rows_of("live_row", (batch.row.id, one.seq))
    if not rows:
        return None
    attempt, tries, returns, losses, state, owner, started_at, returned_at = rows[0]
    if (state, attempt, owner) != (1, one.attempt, worker):
        return None
    return Spent(tries, returns, losses, returned_at if returned_at is not None else started_at - LATELY)


def _standing(row: Row, spent: Spent, lane_works: bool) -> Standing:
    return Standing(
        stopped=row.stopped_at is not None,
        aborted=row.aborted_at is not None,
        repeatable=bool(row.repeatable),
        tries=spent.tries,
        max_tries=row.max_tries,
        returns=spent.returns,
        losses=spent.losses,
        lane_works=lane_works,
    )


def record(batch: Hot, written: Written, run: Ended, decision: End | Defer, now: int) -> None:
    """Move the counts for one decided run, and put down the rows it comes to."""
    row, (seq, attempt, tries, worker, started, ended) = batch.row, run
    row.active -= 1
    written.slots += 1
    match decision:
        case End(state, code, message, result, seconds, tried):
            written.ended.append((row.id, seq))
            counted = tries + tried
            values = (state.value, code, message, worker, counted, started, ended, seconds, dump(result))
            written.runs.append((row.id, seq, attempt, 1, *values))
            _count_end(batch, decision, ended)
        case Defer(at, reason, state, tries, returns, losses, message, result):
            due = now if at is None else micros(at)
            row.deferred += 1
            returned_at = now if state is RunState.returned else None
            written.deferred.append((tries, returns, losses, due, reason, returned_at, row.id, seq))
            if state is not None:
                values = (state.value, reason, message, worker, tries, started, ended, 0.0, dump(result))
                written.runs.append((row.id, seq, attempt, 0, *values))


def _count_end(batch: Hot, end: End, at: int) -> None:
    row = batch.row
    setattr(row, end.state.value, getattr(row, end.state.value) + 1)
    row.last_ended_at = max(row.last_ended_at or 0, at)
    batch.count_code(end.code)
    if end.state is RunState.succeeded:
        row.succeeded_seconds += end.seconds
        row.last_succeeded_at = max(row.last_succeeded_at or 0, at)
    alike = end.state is RunState.failed and end.code not in PATIENCE_CODES | OWN_CODES
    row.streak = (row.streak + 1 if end.code == row.streak_code else 1) if alike else 0
    row.streak_code = end.code if alike else None


def _write(database: Database, batch: Hot, written: Written) -> None:
    write_items(database, batch, written)
    if written.slots:
        database.run("limit_free", {"lane": batch.row.lane, "n": written.slots})
        share = {"lane": batch.row.lane, "workspace": batch.row.workspace, "n": written.slots}
        database.run("share_free", share)
    if written.slots:
        batch.find_next()


def write_items(database: Database, batch: Hot, written: Written) -> None:
    """Write what became of items: their live rows, their runs, their refs."""
    row = batch.row
    if row.exclusive:
        seqs = [(row.id, seq) for _, seq in written.ended] + [tuple(values[-2:]) for values in written.deferred]
        database.many("free_refs_of", seqs)
    database.many("live_end", written.ended)
    database.many("live_defer", written.deferred)
    database.many("run_new", written.runs)


def _late_truth(database: Database, batch: Hot, one: Finished, worker: str) -> bool:
    """A run that was settled as unknown and now says what came of it: the truth replaces the guess."""
    settled = database.row("run_settled", {"batch": batch.row.id, "seq": one.seq, "attempt": one.attempt})
    if settled is None or settled.code != OUTCOME_UNKNOWN or settled.worker != worker:
        return False
    outcome = one.outcome.otherwise if isinstance(one.outcome, Retry) else one.outcome
    if not isinstance(outcome, Succeeded | Failed):
        outcome = Failed(outcome.code, "The run was settled before it was given back")
    end = decide(outcome, _standing(batch.row, Spent(0, 0, 0, 0), True), one.ended_at)
    assert isinstance(end, End)
    batch.row.failed -= 1
    batch.count_code(OUTCOME_UNKNOWN, -1)
    _count_end(batch, end, micros(one.ended_at))
    values = {"state": end.state.value, "code": end.code, "message": end.message, "seconds": end.seconds}
    times = {"started_at": micros(one.started_at), "ended_at": micros(one.ended_at), "result": dump(end.result)}
    where = {"batch": batch.row.id, "seq": one.seq, "attempt": one.attempt}
    database.run("run_replace", {**values, **times, **where})
    release_held(database, database.named("held_of", where))
    return True


def release_held(database: Database, held: Iterable[Row]) -> int:
    """Give back the slots and refs of settled runs; how many."""
    n = 0
    for slot in held:
        n += 1
        database.run("held_end", {"batch": slot.batch, "seq": slot.seq, "attempt": slot.attempt})
        database.run("limit_free", {"lane": slot.lane, "n": 1})
        database.run("share_free", {"lane": slot.lane, "workspace": slot.workspace, "n": 1})
        if slot.ref is not None:
            database.many("free_ref", [(slot.workspace, slot.ref, slot.batch, slot.seq)])
    return n


def settle(database: Database, now: datetime, worker: str, hold_until: datetime | None, limit: int = 500) -> int:
    """Settle some runs of a dead worker; see `Liveness.settle`."""
    by_batch: dict[bytes, list[Row]] = defaultdict(list)
    for live in database.named("live_of_worker", {"worker": worker, "limit": limit}):
        by_batch[live.batch].append(live)
    for id_, lives in sorted(by_batch.items()):
        batch = hot(database, id_, micros(now))
        assert batch is not None, "a live row without a batch"
        _settle_batch(database, now, worker, batch, lives, hold_until)
        batch.save()
    return int(database.value("live_count_of_worker", {"worker": worker}))


def _settle_batch(
    database: Database, now: datetime, worker: str, batch: Hot, lives: list[Row], hold_until: datetime | None
) -> None:
    row, written = batch.row, Written()
    for live in lives:
        standing = _standing(row, Spent(live.tries, live.returns, live.losses, 0), True)
        run = Ended(live.seq, live.attempt, live.tries, worker, live.started_at, micros(now))
        record(batch, written, run, decide(Lost(), standing, now), micros(now))
    if hold_until is None or row.repeatable:
        _write(database, batch, written)
        return
    for live in lives:
        ref = live.ref if row.exclusive else None
        slot = {"batch": row.id, "seq": live.seq, "attempt": live.attempt, "lane": row.lane}
        database.run("held_new", {**slot, "workspace": row.workspace, "ref": ref, "until": micros(hold_until)})
    database.many("live_end", written.ended)
    database.many("run_new", written.runs)
    batch.find_next()


def _breaker(database: Database, lane: str) -> LaneBreaker:
    row = database.row("lane_row", {"lane": lane})
    if row is None:
        return LaneBreaker(lane, Breaker(), Breaker())
    items = tuple(row.streak_items.split()) if row.streak_items else ()
    kept = Breaker(
        open_until=moment(row.open_until),
        reason=row.open_reason,
        since=moment(row.open_since),
        opens=row.opens,
        probe=row.probe,
        streak_code=row.streak_code,
        streak_items=items,
        alike=row.alike,
        worked_at=moment(row.worked_at),
    )
    return LaneBreaker(lane, kept, kept)


def _save_breaker(database: Database, lane: LaneBreaker) -> None:
    if lane.now is not lane.before and lane.now != lane.before:
        write_breaker(database, lane.lane, lane.now)


def write_breaker(database: Database, lane: str, breaker: Breaker) -> None:
    """Write a lane's breaker."""
    database.run(
        "limit_breaker",
        {
            "lane": lane,
            "open_until": micros(breaker.open_until),
            "open_reason": breaker.reason,
            "open_since": micros(breaker.since),
            "opens": breaker.opens,
            "probe": breaker.probe,
            "streak_code": breaker.streak_code,
            "streak_items": " ".join(breaker.streak_items),
            "alike": breaker.alike,
            "worked_at": micros(breaker.worked_at),
        },
    )


def _pause_failing(database: Database, now: datetime, batch: Hot, breaker: Breaker, opens: int) -> bool:
    """Pause a batch that fails alike again and again, or whose items opened a hopeless breaker once more than `opens`
    times; True if it was paused."""
    row = batch.row
    if not batch.open or batch.waiting + row.active == 0 or row.paused_at is not None:
        return False
    hopeless = breaker.hopeless and breaker.opens > opens
    if row.streak < BATCH_STREAK and not hopeless:
        return False
    code = row.streak_code if row.streak >= BATCH_STREAK else breaker.reason
    row.paused_at, row.next_at = micros(now), None
    database.run("batch_pause", {"batch": row.id, "now": micros(now), "reason": f"failing:{code}"})
    batch.event("paused", None, {"reason": "failing", "code": code})
    return True
