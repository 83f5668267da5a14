"""Finishing: every cell of the outcome table, the fence, the budgets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from covey.domain.batch import BatchState, StopReason
from covey.domain.item import ItemState
from covey.domain.run import (
    NOT_STARTED,
    Aborted,
    Blame,
    Failed,
    Finished,
    Outcome,
    Retry,
    Returned,
    RunState,
    Succeeded,
)

from ..clock import NOON
from .conftest import WORKER, Scene, numbers, seqs

SUCCEEDED = Succeeded("good", {"text": "fine"}, 12.5)
FAILED = Failed("declined", "They hung up", {"text": "no"})
RETRY = Retry(NOON + timedelta(minutes=5), Failed("busy", "Number busy", {"n": 1}))
RETRY_GOOD = Retry(NOON + timedelta(minutes=5), Succeeded("voicemail", {"n": 2}, 3.0))
RETURNED = Returned("no_route", "There is no way")
NOT_YET = Returned(NOT_STARTED)
ABORTED = Aborted("aborted")
OUTCOMES = (SUCCEEDED, FAILED, RETRY, RETRY_GOOD, RETURNED, NOT_YET, ABORTED)

OPEN, STOPPED, WITH_ABORT = "open", "stopped", "stopped with abort"
waiting, succeeded, failed, canceled = ItemState.waiting, ItemState.succeeded, ItemState.failed, ItemState.canceled


@dataclass(frozen=True)
class Cell:
    """What one outcome makes of an item: its state, the code it goes by, the tries it has used, and its runs."""

    state: ItemState
    code: str
    tries: int
    runs: Sequence[RunState]


def ended(state: ItemState, code: str, tries: int = 1) -> Cell:
    return Cell(state, code, tries, [RunState(state.value)])


TABLE: list[tuple[Outcome, str, Cell]] = [
    *((SUCCEEDED, column, ended(succeeded, "good")) for column in (OPEN, STOPPED, WITH_ABORT)),
    *((FAILED, column, ended(failed, "declined")) for column in (OPEN, STOPPED, WITH_ABORT)),
    (RETRY, OPEN, Cell(waiting, "busy", 1, [RunState.retried])),
    (RETRY, STOPPED, ended(failed, "busy")),
    (RETRY, WITH_ABORT, ended(canceled, "busy")),
    (RETRY_GOOD, OPEN, Cell(waiting, "voicemail", 1, [RunState.retried])),
    (RETRY_GOOD, STOPPED, ended(succeeded, "voicemail")),
    (RETRY_GOOD, WITH_ABORT, ended(canceled, "voicemail")),
    (RETURNED, OPEN, Cell(waiting, "no_route", 0, [RunState.returned])),
    (RETURNED, STOPPED, ended(canceled, "no_route", 0)),
    (RETURNED, WITH_ABORT, ended(canceled, "no_route", 0)),
    (NOT_YET, OPEN, Cell(waiting, NOT_STARTED, 0, [])),
    (NOT_YET, STOPPED, ended(canceled, NOT_STARTED, 0)),
    (NOT_YET, WITH_ABORT, ended(canceled, NOT_STARTED, 0)),
    *((ABORTED, column, ended(canceled, "aborted", 0)) for column in (OPEN, STOPPED, WITH_ABORT)),
]


@pytest.mark.parametrize(("outcome", "column", "cell"), TABLE)
async def test_the_outcome_table(scene: Scene, outcome: Outcome, column: str, cell: Cell) -> None:
    batch = await scene.submit(3, max_tries=2)
    portion = await scene.take(1)
    if column is not OPEN:
        await scene.stop(batch, abort=column is WITH_ABORT)
    scene.clock.advance(30)
    report = await scene.finish(portion, outcome)

    assert (report.written, report.stale) == (1, ())
    item = await scene.store.item(batch, 0)
    runs = [run.state for run in (*item.earlier, *([item.last] if item.last else []))]
    assert (item.state, item.tries, runs) == (cell.state, cell.tries, list(cell.runs))
    assert (item.reason if item.state is waiting else item.last and item.last.code) == cell.code
    counts = await scene.counts(batch)
    assert counts.active == 0
    assert getattr(counts, cell.state.value) == (1 if column is OPEN or cell.state is not canceled else 3) + 2 * (
        column is OPEN and cell.state is waiting
    )
    assert report.ended == (() if column is OPEN else (batch,))


async def test_what_a_run_came_to_is_kept_whole(scene: Scene) -> None:
    batch = await scene.submit(3, max_tries=2)
    portion = await scene.take()
    scene.clock.advance(20)
    await scene.finish(portion, SUCCEEDED, seqs=[0])
    await scene.finish(portion, FAILED, seqs=[1])
    await scene.finish(portion, RETRY, seqs=[2])
    good, bad, again = [await scene.store.item(batch, seq) for seq in range(3)]
    assert good.last is not None
    assert bad.last is not None
    assert (good.last.code, good.last.seconds, good.last.result) == ("good", 12.5, {"text": "fine"})
    assert (good.last.started_at, good.last.ended_at, good.last.attempt) == (NOON, scene.now, 1)
    assert (bad.last.code, bad.last.message, bad.last.result) == ("declined", "They hung up", {"text": "no"})
    (first,) = again.earlier
    assert (first.code, first.message, first.result) == ("busy", "Number busy", {"n": 1})
    assert again.due_at == RETRY.at
    counts = await scene.counts(batch)
    assert (counts.succeeded_seconds, counts.last_succeeded_at, counts.last_ended_at) == (12.5, scene.now, scene.now)
    assert await scene.store.outcomes(batch) == {"good": 1, "declined": 1}


async def test_the_last_finish_completes_the_batch(scene: Scene) -> None:
    batch = await scene.submit(2)
    portion = await scene.take()
    assert (await scene.finish(portion, seqs=[0])).ended == ()
    scene.clock.advance(7)
    assert (await scene.finish(portion, FAILED, seqs=[1])).ended == (batch,)
    done = await scene.store.batch(batch)
    assert (done.state, done.completed_at, done.ended) == (BatchState.completed, scene.now, True)
    assert [event.type for event in await scene.store.history(batch)] == ["created", "started", "completed"]


async def test_one_finish_may_be_about_many_batches(scene: Scene) -> None:
    first, second = await scene.submit(2), await scene.submit(1, workspace="other")
    bites = [await scene.take(), await scene.take()]
    finished = [
        Finished(portion.batch, run.seq, run.attempt, SUCCEEDED, run.start_at, scene.now)
        for portion in bites
        for run in portion.runs
    ]
    report = await scene.store.finish(WORKER, finished)
    assert (report.written, set(report.ended)) == (3, {first, second})
    status = await scene.store.lane("lane")
    assert status is not None
    assert status.active == 0


# The fence


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("wrong", ["attempt", "worker", "seq", "batch", "deferred", "twice"])
async def test_a_stale_finish_changes_nothing(scene: Scene, wrong: str, outcome: Outcome) -> None:
    batch = await scene.submit(3, max_tries=5, exclusive=True)
    await scene.store.enlist("other")
    portion = await scene.take(2)
    await scene.finish(portion, NOT_YET, seqs=[0])
    second = await scene.take(1)
    if wrong == "deferred":
        await scene.finish(second, NOT_YET)
    if wrong == "twice":
        await scene.finish(second, SUCCEEDED)
    fence = Finished(batch, 0, 2, outcome, scene.now, scene.now)
    stale = {
        "attempt": replace(fence, attempt=1),
        "worker": fence,
        "seq": replace(fence, seq=2),
        "batch": replace(fence, batch=scene.new().id),
    }.get(wrong, fence)
    before = await scene.store.items(batch)
    lane = await scene.store.lane("lane")

    scene.clock.advance(1)
    report = await scene.store.finish("other" if wrong == "worker" else WORKER, [stale])

    assert (report.written, report.stale) == (0, ((stale.batch, stale.seq, stale.attempt),))
    batch_after, items_after = await scene.store.items(batch)
    assert (batch_after.counts, items_after) == (before[0].counts, before[1])
    assert await scene.store.lane("lane") == lane


@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_the_same_run_twice_in_one_finish_counts_once(scene: Scene, outcome: Outcome) -> None:
    batch = await scene.submit(3, max_tries=3)
    await scene.take(2)
    once = Finished(batch, 0, 1, outcome, scene.now, scene.now)
    report = await scene.store.finish(WORKER, [once, once])
    assert (report.written, report.stale) == (1, ((batch, 0, 1),))
    assert (await scene.counts(batch)).active == 1
    status = await scene.store.lane("lane")
    assert status is not None
    assert status.active == 1


async def test_a_stale_run_does_not_keep_others_from_being_written(scene: Scene) -> None:
    batch = await scene.submit(2)
    await scene.take()
    good = Finished(batch, 0, 1, SUCCEEDED, scene.now, scene.now)
    report = await scene.store.finish(WORKER, [replace(good, attempt=9), good, replace(good, seq=1)])
    assert (report.written, report.stale) == (2, ((batch, 0, 9),))


# Budgets


@pytest.mark.parametrize("budget", [1, 2, 4])
async def test_an_item_is_tried_as_often_as_its_budget_says(scene: Scene, budget: int) -> None:
    batch = await scene.submit(1, max_tries=budget)
    for spent in range(budget):
        portion = await scene.take()
        assert [run.tries for run in portion.runs] == [spent]
        await scene.finish(portion, Retry(scene.now, Failed("busy", "Number busy")))
    item = await scene.store.item(batch, 0)
    assert (item.state, item.tries, len(item.earlier)) == (failed, budget, budget - 1)
    assert (await scene.store.batch(batch)).state is BatchState.completed


async def test_an_item_returned_three_times_fails(scene: Scene) -> None:
    batch = await scene.submit(1, max_tries=9)
    waits = []
    for _ in range(3):
        await scene.one(RETURNED)
        item = await scene.store.item(batch, 0)
        if item.due_at is not None:
            waits.append((item.due_at - scene.now).total_seconds())
            assert await scene.claim() is None
            scene.clock.advance(waits[-1])
    assert waits == sorted(set(waits))
    assert len(waits) == 2
    assert item.last is not None
    assert (item.state, item.last.code, item.tries) == (failed, "provider_error", 0)
    assert item.last.message == RETURNED.message


async def test_returns_are_free_while_the_lane_does_not_work(scene: Scene) -> None:
    batch = await scene.submit(8)
    portion = await scene.take()
    for run in portion.runs[:5]:
        await scene.finish(portion, Failed("down", "", blame=Blame.either), seqs=[run.seq])
    for _ in range(6):
        await scene.finish(portion, Returned("no_route", blame=Blame.nothing), seqs=[5])
        scene.clock.advance(3600)
        portion = await scene.take()
        assert seqs(portion) == [5]
    assert (await scene.store.item(batch, 5)).state is ItemState.active


# Failing alike


async def test_a_batch_that_fails_alike_thirty_times_pauses_itself(scene: Scene) -> None:
    batch = await scene.submit(40)
    portion = await scene.take()
    for seq in range(29):
        assert (await scene.finish(portion, FAILED, seqs=[seq])).paused == ()
    assert (await scene.finish(portion, FAILED, seqs=[29])).paused == (batch,)
    paused = await scene.store.batch(batch)
    assert (paused.state, paused.pause_reason) == (BatchState.paused, "failing:declined")
    event = (await scene.store.history(batch))[-1]
    assert (event.type, event.data) == ("paused", {"reason": "failing", "code": "declined"})
    await scene.finish(portion, FAILED, seqs=[30])
    await scene.store.resume("w", batch)
    for seq in range(31, 40):
        assert (await scene.finish(portion, FAILED, seqs=[seq])).paused == ()


async def test_a_batch_with_nothing_left_to_start_does_not_pause(scene: Scene) -> None:
    batch = await scene.submit(31)
    assert (await scene.finish(await scene.take(), FAILED)).paused == ()
    assert [event.type for event in await scene.store.history(batch)] == ["created", "started", "completed"]


@pytest.mark.parametrize("between", [SUCCEEDED, Failed("other", ""), ABORTED])
async def test_anything_else_between_starts_the_streak_anew(scene: Scene, between: Outcome) -> None:
    await scene.submit(60)
    portion = await scene.take()
    await scene.finish(portion, FAILED, seqs=range(29))
    await scene.finish(portion, between, seqs=[29])
    assert (await scene.finish(portion, FAILED, seqs=range(30, 59))).paused == ()


@pytest.mark.parametrize("code", ["busy", "no_answer", "interrupted", "outcome_unknown"])
async def test_codes_that_say_nothing_about_the_list_pause_nothing(scene: Scene, code: str) -> None:
    await scene.submit(61)
    portion = await scene.take()
    assert (await scene.finish(portion, Failed(code, ""), seqs=range(60))).paused == ()


# Late truth


@pytest.mark.parametrize(
    ("truth", "state", "code"),
    [
        (SUCCEEDED, succeeded, "good"),
        (FAILED, failed, "declined"),
        (RETRY, failed, "busy"),
        (RETRY_GOOD, succeeded, "voicemail"),
        (RETURNED, failed, "no_route"),
    ],
)
async def test_late_truth_takes_the_place_of_the_guess(
    scene: Scene, truth: Outcome, state: ItemState, code: str
) -> None:
    await scene.store.enlist("slow")
    batch = await scene.submit(2, exclusive=True)
    portion = await scene.take(1, worker="slow")
    await scene.bury("slow")
    assert await scene.store.settle("slow", {"lane": timedelta(seconds=600)}) == 0
    guess = await scene.store.item(batch, 0)
    assert guess.last is not None
    assert (guess.state, guess.last.code, guess.tries) == (failed, "outcome_unknown", 1)

    scene.clock.advance(5)
    report = await scene.finish(portion, truth, worker="slow")
    assert (report.written, report.stale) == (1, ())
    item = await scene.store.item(batch, 0)
    assert item.last is not None
    assert (item.state, item.last.code, item.tries) == (state, code, 1)
    assert await scene.store.outcomes(batch) == {code: 1}
    counts = await scene.counts(batch)
    assert (counts.waiting, counts.active, counts.succeeded + counts.failed) == (1, 0, 1)
    assert (await scene.finish(portion, truth, worker="slow")).stale == ((batch, 0, 1),)
    status = await scene.store.lane("lane")
    assert status is not None
    assert status.active == 0


async def test_late_truth_may_come_after_the_end_and_from_nobody_else(scene: Scene) -> None:
    await scene.store.enlist("slow")
    batch = await scene.submit(1)
    portion = await scene.take(1, worker="slow")
    await scene.bury("slow")
    await scene.store.settle("slow", {})
    done = await scene.store.batch(batch)
    assert done.state is BatchState.completed
    assert (await scene.finish(portion, SUCCEEDED)).written == 0
    report = await scene.finish(portion, SUCCEEDED, worker="slow")
    assert (report.written, report.ended) == (1, ())
    after = await scene.store.batch(batch)
    assert (after.completed_at, numbers(after.counts)) == (done.completed_at, (0, 0, 1, 0, 0))


@pytest.mark.parametrize("reason", list(StopReason))
async def test_a_stopped_batch_ends_in_the_state_of_its_reason(scene: Scene, reason: StopReason) -> None:
    batch = await scene.submit(2)
    portion = await scene.take(1)
    await scene.store.stop("w", batch, reason)
    assert (await scene.store.batch(batch)).state is BatchState.stopping
    await scene.finish(portion, SUCCEEDED)
    state = {"cancel": "canceled", "budget": "canceled", "expire": "expired", "fail": "failed"}[reason.value]
    assert (await scene.store.batch(batch)).state.value == state
    assert (await scene.store.history(batch))[-1].type == state
