"""Dispatcher, finisher and worker, one round at a time."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from covey.domain.batch import StopReason
from covey.domain.errors import Conflict, Unavailable
from covey.domain.item import ItemState
from covey.domain.run import Finished, Progress
from covey.engine.runner import Aborted, Failed, Outcome, Succeeded
from covey.store.results import FinishReport
from covey.store.sqlite import SqliteStore
from covey.store.sqlite.transaction import SqliteConnection

from ..patience import PATIENCE
from .conftest import LANE, House


async def test_a_round_claims_what_there_is_room_for(house: House) -> None:
    batch = await house.submit(15)
    await house.dispatcher.round()
    assert await house.desk.lying(10) == list(range(10))
    assert house.worker.active == 10
    assert await house.dispatcher.round() is None
    assert (await house.store.batch(batch)).counts.active == 10


async def test_a_run_says_all_that_a_runner_needs(house: House) -> None:
    batch = await house.submit(1)
    await house.dispatcher.round()
    await house.desk.lying(1)
    run = house.desk.runs[0]
    assert (run.batch, run.workspace, run.lane, run.seq, run.attempt, run.tries) == (batch, "w", LANE, 0, 1, 0)
    assert (run.config, run.input) == ({"say": "hello"}, b"{}")
    assert run.start_at == house.clock.monotonic()
    assert run.lease_until == house.clock.monotonic() + 0.5


async def test_how_far_runs_are_is_written_when_they_have_moved(house: House) -> None:
    batch = await house.submit(2)
    await house.dispatcher.round()
    await house.desk.lying(2)
    house.desk.runs[1].advance(1.0, 4.0)
    for done in (1.0, 2.0):
        house.desk.runs[1].advance(done, 4.0)
        await house.worker.progress_round()
        _, (first, second) = await house.store.items(batch)
        assert (first.progress, second.progress) == (None, (done, 4.0))
    await house.store.advance(house.worker.id, [Progress(batch, 1, 1, 3.0, 4.0)])
    await house.worker.progress_round()
    assert (await house.store.item(batch, 1)).progress == (3.0, 4.0), "what has not moved was written again"


async def test_room_is_free_when_the_outcome_is_on_disk(house: House) -> None:
    batch = await house.submit(2)
    await house.dispatcher.round()
    await house.desk.lying(2)
    house.desk.answer(0, Succeeded("good", {"n": 1}, 2.0))
    await house.written(1)
    assert house.worker.active == 1
    item = await house.store.item(batch, 0)
    assert item.last is not None
    assert (item.state, item.last.code, item.last.result) == (ItemState.succeeded, "good", {"n": 1})
    house.clock.advance(3)
    house.desk.answer(1, Succeeded("good"))
    await house.written(1)
    done = await house.store.item(batch, 1)
    assert done.last is not None
    assert done.last.started_at == house.clock.now().replace(second=0)
    assert done.last.ended_at == house.clock.now()


async def test_what_starts_too_late_goes_back_unstarted(house: House) -> None:
    batch = await house.submit(3)
    await house.dispatcher.round()
    house.clock.advance(0.501)
    await house.written(3)
    assert house.desk.runs == {}
    item = await house.store.item(batch, 0)
    assert (item.state, item.reason, item.tries, item.earlier) == (ItemState.waiting, "not_started", 0, ())
    await house.dispatcher.round()
    assert await house.desk.lying(3) == [0, 1, 2]
    assert house.desk.runs[0].attempt == 2


async def test_the_licence_counts_from_before_the_claim_was_asked(house: House) -> None:
    await house.submit(3)

    asked = threading.Event()

    def slow(_: SqliteConnection) -> None:
        asked.wait(PATIENCE)
        house.clock.advance(0.501)

    held = asyncio.ensure_future(house.store.writer.run(slow))
    await asyncio.sleep(0)
    claiming = asyncio.ensure_future(house.dispatcher.round())
    await asyncio.sleep(0)
    asked.set()
    await asyncio.gather(held, claiming)
    await house.written(3)
    assert house.desk.runs == {}


@pytest.mark.parametrize("wrong", [RuntimeError("oops"), TimeoutError(), asyncio.CancelledError()])
async def test_a_crashing_runner_fails_its_item_and_nothing_else(house: House, wrong: BaseException) -> None:
    batch = await house.submit(2)
    await house.dispatcher.round()
    await house.desk.lying(2)
    house.desk.answer(0, wrong)
    house.desk.answer(1, Succeeded("good"))
    await house.written(2)
    item = await house.store.item(batch, 0)
    assert item.last is not None
    assert (item.state, item.last.code) == (ItemState.failed, "internal_error")
    assert (await house.store.item(batch, 1)).state is ItemState.succeeded


@pytest.mark.parametrize(
    "poison",
    [
        Succeeded("good", {"object": object()}),
        Succeeded("good", {"text": "\ud800"}),
        Failed("bad", "\ud800"),
        None,
    ],
)
async def test_an_outcome_that_cannot_be_written_keeps_no_other(house: House, poison: Outcome) -> None:
    batch = await house.submit(3, max_tries=2)
    await house.dispatcher.round()
    await house.desk.lying(3)
    for seq, outcome in enumerate([Succeeded("good"), poison, Succeeded("good")]):
        house.desk.answer(seq, outcome)
    await house.written(3)
    _, items = await house.store.items(batch)
    assert [item.last.code for item in items if item.last] == ["good", "internal_error", "good"]
    assert house.worker.active == 0


async def test_outcomes_wait_for_a_database_that_is_full(house: House) -> None:
    batch = await house.submit(1)
    await house.dispatcher.round()
    await house.desk.lying(1)
    large = {"text": "x" * 500_000}

    def limit(pages: int | None) -> None:
        connection = house_connection[0]
        connection.pragma("max_page_count", pages or connection.pragma("page_count"))

    house_connection = [await house.store.writer.run(lambda database: database.connection)]
    await house.store.writer.run(lambda _: limit(None))
    house.desk.answer(0, Succeeded("good", large))
    writing = asyncio.ensure_future(house.written(1))
    with pytest.raises(Unavailable, match="disk is full"):
        await house.store.draft(house.new(notes=large), house.worker.id)
    assert house.worker.active == 1
    assert (await house.store.batch(batch)).counts.active == 1
    await house.store.writer.run(lambda _: limit(1 << 30))
    await writing
    assert house.worker.active == 0
    assert (await house.store.batch(batch)).counts.succeeded == 1


async def test_a_closed_database_is_unavailable_to_all(house: House) -> None:
    batch = await house.submit(1)
    await house.store.close()
    for doing in (house.dispatcher.round(), house.worker.reconciler.round(), house.store.batch(batch)):
        with pytest.raises(Unavailable):
            await doing
    house.store = SqliteStore(house.store.path, house.clock)
    await house.store.open()
    assert (await house.store.batch(batch)).counts.waiting == 1


async def test_runs_are_told_to_drop(house: House) -> None:
    batch, other = await house.submit(2), await house.submit(1, workspace="other")
    while len(house.dispatcher.runs) < 3:
        await house.dispatcher.round()
    kept = next(run for run in house.dispatcher.runs.values() if run.batch == other)
    dropped = [run for run in house.dispatcher.runs.values() if run.batch == batch]
    await house.store.stop("w", batch, StopReason.cancel, abort=True)
    await house.worker.drop_round()
    assert [(run.dropped.is_set(), run.drop_reason) for run in dropped] == [(True, "aborted")] * 2
    assert not kept.dropped.is_set()


async def test_what_a_worker_never_saw_goes_back_when_its_licence_is_over(house: House) -> None:
    batch = await house.submit(3)
    await house.store.claim(house.worker.id, LANE, 1)
    await house.dispatcher.round()
    await house.desk.lying(2)
    for seconds in (0.1, 0.4, 0.05):  # a claim's answer may be on its way for as long as its licence lasts
        await house.worker.reconciler.round()
        assert house.worker.finisher.waiting == 0
        house.clock.advance(seconds)
    house.clock.advance(0.1)
    await house.worker.reconciler.round()
    await house.worker.reconciler.round()
    assert house.worker.finisher.waiting == 1
    await house.written(1)
    item = await house.store.item(batch, 0)
    assert (item.state, item.reason, item.tries) == (ItemState.waiting, "not_started", 0)
    assert (await house.store.batch(batch)).counts.active == 2


async def test_a_run_whose_outcome_cannot_be_written_is_not_started_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays active until the next start settles it as unknown: the far side was reached."""
    batch = await house.submit(1)
    await house.dispatcher.round()
    await house.desk.lying(1)
    key = next(iter(house.dispatcher.runs))

    async def broken(worker: str, finished: Sequence[Finished]) -> FinishReport:
        raise OverflowError("no outcome can be written")

    with monkeypatch.context() as fault:
        fault.setattr(house.store, "finish", broken)
        house.desk.answer(0, Succeeded("good"))
        await house.written(1)
    for _ in range(3):
        await house.worker.reconciler.round()
        house.clock.advance(60)
    assert house.worker.finisher.waiting == 0
    assert await house.store.in_hand(house.worker.id) == [key]
    assert (await house.store.batch(batch)).pause_reason == "database_lost_commits"


async def forget_claims(house: House) -> None:
    """What a fail-over to a standby that was behind does: every claim so far was never made."""

    def forget(database: SqliteConnection) -> None:
        database.connection.execute(
            "DELETE FROM live; UPDATE counts SET cursor = 0, active = 0; "
            "UPDATE limits SET active = 0; UPDATE shares SET active = 0"
        )

    await house.store.writer.run(forget)


@pytest.mark.parametrize("ended", [False, True])
async def test_a_batch_pauses_of_which_the_database_lost_what_it_had_acknowledged(house: House, ended: bool) -> None:
    batch = await house.submit(3)
    await house.dispatcher.round()
    await house.desk.lying(3)
    await forget_claims(house)
    if ended:
        house.desk.answer(0, Succeeded("good"))
        await house.written(1)
    await house.worker.reconciler.round()
    assert (await house.store.batch(batch)).pause_reason == "database_lost_commits"
    assert (await house.store.claim(house.worker.id, LANE, 10)).bite is None


async def test_runs_that_others_settled_and_answers_that_were_lost_pause_nothing(house: House) -> None:
    batch = await house.submit(3)
    await house.dispatcher.round()
    await house.desk.lying(3)
    key = next(iter(house.dispatcher.runs))
    ended = Finished(*key, Succeeded("good"), house.clock.now(), house.clock.now())
    await house.store.finish(house.worker.id, [ended])
    house.desk.answer(key[1], Succeeded("good"))
    await house.written(1)
    await house.another().enlist()
    await house.worker.reconciler.round()
    assert (await house.store.batch(batch)).pause_reason is None


async def test_the_next_life_settles_the_one_before(house: House) -> None:
    batch = await house.submit(2)
    await house.dispatcher.round()
    await house.desk.lying(2)
    await house.another().enlist()
    counts = (await house.store.batch(batch)).counts
    assert (counts.active, counts.failed) == (0, 2)
    await house.submit(1)
    with pytest.raises(Conflict):
        await house.dispatcher.round()
    house.desk.answer(0, Succeeded("good"))
    await house.written(1)
    assert (await house.store.batch(batch)).counts.succeeded == 1


async def test_an_aborted_run_that_reached_nobody_is_canceled(house: House) -> None:
    batch = await house.submit(1)
    await house.dispatcher.round()
    await house.desk.lying(1)
    house.desk.answer(0, Aborted("aborted"))
    await house.written(1)
    assert (await house.store.item(batch, 0)).state is ItemState.canceled
