"""Finish: write down what came of runs, fenced, decided by the outcome table, all in one transaction."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from covey.domain.breaker import Breaker, blame
from covey.domain.ids import item_id
from covey.domain.lane import BATCH_STREAK
from covey.domain.run import OUTCOME_UNKNOWN, Blame, End, Failed, Finished, Retry, Succeeded, decide
from covey.store.operations.breakers import LaneBreaker, read_breakers, save_breakers
from covey.store.operations.control import pause_open, stop_broke
from covey.store.operations.counts import LockedBatch, hots, save
from covey.store.operations.runs import BudgetUsed, Ended, RunRecorder, clean, count_end, standing
from covey.store.operations.settle import release_held
from covey.store.operations.transaction import Database, dump, key, lock, micros, moment, pass_gates_of, span_micros
from covey.store.results import FinishReport

LATELY = span_micros(timedelta(minutes=1))
"""So long before a run's start its lane may have worked last, for the run's first return to count against the item."""

Fence = tuple[bytes, int, int]
"""Batch, seq, attempt."""


@dataclass(slots=True)
class FencedRuns:
    """What the store knows of the runs of one finish: those in this worker's hands, and those that were settled as
    unknown while it had them."""

    active: dict[Fence, BudgetUsed] = field(default_factory=dict)
    unknown: set[Fence] = field(default_factory=set)


async def finish(database: Database, worker: str, finished: Sequence[Finished]) -> FinishReport:
    """Record runs by the outcome table, fenced by attempt and worker, in one transaction."""
    named: dict[str, list[Finished]] = defaultdict(list)
    for one in finished:
        named[one.batch].append(one)
    by_batch = {key(id_): runs for id_, runs in named.items()}
    await pass_gates_of(database, list(by_batch))
    now = micros(await lock(database, list(by_batch), lanes=True))
    batches = await hots(database, by_batch, now)
    breakers = await read_breakers(database, (batch.row.lane for batch in batches.values()))
    hands = await _hands(database, by_batch, worker)
    stale = [one for id_, runs in by_batch.items() if id_ not in batches for one in runs]
    paused, written = [], RunRecorder()
    for id_, batch in sorted(batches.items()):
        lane = breakers[batch.row.lane]
        opens = lane.now.opens
        stale += await _finish_batch(database, worker, batch, by_batch[id_], lane, hands, written)
        if await _pause_failing(database, batch, lane.now, opens):
            paused.append(id_.hex())
        if batch.broke:
            await stop_broke(database, batch)
    await written.write(database)
    ended = await save(database, list(batches.values()))
    await save_breakers(database, breakers.values())
    return FinishReport(
        written=len(finished) - len(stale),
        stale=tuple((one.batch, one.seq, one.attempt) for one in stale),
        ended=tuple(batch.row.id.hex() for batch in ended),
        paused=tuple(paused),
    )


async def _hands(database: Database, finished: Mapping[bytes, Sequence[Finished]], worker: str) -> FencedRuns:
    """The fence: which of the runs are in this worker's hands in this very attempt."""
    hands, asked = FencedRuns(), {(batch, one.seq, one.attempt) for batch, runs in finished.items() for one in runs}
    there = sorted({fence[:2] for fence in asked})
    for batch, seq, attempt, tries, returns, losses, state, owner, started, returned, dropped in await database.each(
        "live_row", there
    ):
        if state == 1 and owner == worker and (batch, seq, attempt) in asked:
            since = returned if returned is not None else started - LATELY
            hands.active[batch, seq, attempt] = BudgetUsed(tries, returns, losses, since, dropped)
    gone = sorted(asked - hands.active.keys()) if len(hands.active) < len(asked) else []
    for batch, seq, attempt, code, owner in await database.each("run_settled", gone):
        if code == OUTCOME_UNKNOWN and owner == worker:
            hands.unknown.add((batch, seq, attempt))
    return hands


async def _finish_batch(
    database: Database,
    worker: str,
    batch: LockedBatch,
    finished: Iterable[Finished],
    lane: LaneBreaker,
    hands: FencedRuns,
    written: RunRecorder,
) -> list[Finished]:
    """Decide the runs of one batch; those that changed nothing."""
    stale, now = [], moment(batch.now)
    for one in finished:
        fence = (batch.row.id, one.seq, one.attempt)
        spent = hands.active.pop(fence, None)
        if spent is None:
            if fence in hands.unknown:
                hands.unknown.remove(fence)
                await _late_truth(database, batch, one)
            else:
                stale.append(one)
            continue
        lane.now = lane.now.after(item_id(one.batch, one.seq), one.outcome, now)
        works = lane.now.closed and (blame(one.outcome) is Blame.nothing or lane.worked_since(spent.since))
        decision = decide(one.outcome, standing(batch.row, spent, works), now)
        run = Ended(one.seq, one.attempt, spent.tries, worker, micros(one.started_at), micros(one.ended_at))
        written.record(batch, run, decision)
        written.free(batch, one.seq)
        batch.find_next()
    return stale


async def _late_truth(database: Database, batch: LockedBatch, one: Finished) -> None:
    """A run that was settled as unknown now says what came of it: the truth takes the place of the guess.

    A worker that was declared dead may only have been cut off, and its calls went on; what they came to is worth more
    than `outcome_unknown`. Nothing starts because of it: the item has ended either way.
    """
    outcome = one.outcome.otherwise if isinstance(one.outcome, Retry) else one.outcome
    if not isinstance(outcome, Succeeded | Failed):
        outcome = Failed(outcome.code, "The run was settled before it was given back")
    end = decide(outcome, standing(batch.row, BudgetUsed(0, 0, 0, 0), True), one.ended_at)
    assert isinstance(end, End)
    batch.row.failed -= 1
    batch.codes[OUTCOME_UNKNOWN] -= 1
    cost = count_end(batch, end, micros(one.ended_at))
    values = {"state": end.state.value, "code": end.code, "message": clean(end.message), "seconds": end.seconds}
    used = {"charged": end.charged, "tokens_in": end.tokens_in, "tokens_out": end.tokens_out, "cost": cost}
    times = {"started_at": micros(one.started_at), "ended_at": micros(one.ended_at), "result": dump(end.result)}
    where = {"batch": batch.row.id, "seq": one.seq, "attempt": one.attempt}
    await database.write("run_replace", {**values, **used, **times, **where})
    await release_held(database, await database.named("held_of", where))


async def _pause_failing(database: Database, batch: LockedBatch, breaker: Breaker, opens: int) -> bool:
    """Pause a batch that fails alike again and again, or whose items opened a hopeless breaker once more than `opens`
    times; True if it was paused."""
    row = batch.row
    if not row.self_pausing or not batch.open or batch.waiting + row.active == 0 or row.paused_at is not None:
        return False
    hopeless = breaker.hopeless and breaker.opens > opens
    if row.streak < BATCH_STREAK and not hopeless:
        return False
    code = row.streak_code if row.streak >= BATCH_STREAK else breaker.reason
    await pause_open(database, batch, f"failing:{code}")
    batch.event("paused", None, {"reason": "failing", "code": code})
    return True
