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
from .conftest import LANE, EngineHarness


async def test_a_round_claims_what_there_is_room_for(engine: EngineHarness) -> None:
    batch = await engine.submit(15)
    await engine.dispatcher.round()
    assert await engine.runner.lying(10) == list(range(10))
    assert engine.worker.active == 10
    assert await engine.dispatcher.round() is None
    assert (await engine.store.batch(batch)).counts.active == 10


async def test_a_run_says_all_that_a_runner_needs(engine: EngineHarness) -> None:
    batch = await engine.submit(1)
    await engine.dispatcher.round()
    await engine.runner.lying(1)
    run = engine.runner.runs[0]
    assert (run.batch, run.workspace, run.lane, run.seq, run.attempt, run.tries) == (batch, "w", LANE, 0, 1, 0)
    assert (run.config, run.input) == ({"say": "hello"}, b"{}")
    assert run.start_at == engine.clock.monotonic()
    assert run.lease_until == engine.clock.monotonic() + 0.5


async def test_how_far_runs_are_is_written_when_they_have_moved(engine: EngineHarness) -> None:
    batch = await engine.submit(2)
    await engine.dispatcher.round()
    await engine.runner.lying(2)
    engine.runner.runs[1].advance(1.0, 4.0)
    for done in (1.0, 2.0):
        engine.runner.runs[1].advance(done, 4.0)
        await engine.worker.progress_round()
        _, (first, second) = await engine.store.items(batch)
        assert (first.progress, second.progress) == (None, (done, 4.0))
    await engine.store.advance(engine.worker.id, [Progress(batch, 1, 1, 3.0, 4.0)])
    await engine.worker.progress_round()
    assert (await engine.store.item(batch, 1)).progress == (3.0, 4.0), "what has not moved was written again"


async def test_room_is_free_when_the_outcome_is_on_disk(engine: EngineHarness) -> None:
    batch = await engine.submit(2)
    await engine.dispatcher.round()
    await engine.runner.lying(2)
    engine.runner.answer(0, Succeeded("good", {"n": 1}, 2.0))
    await engine.written(1)
    assert engine.worker.active == 1
    item = await engine.store.item(batch, 0)
    assert item.last is not None
    assert (item.state, item.last.code, item.last.result) == (ItemState.succeeded, "good", {"n": 1})
    engine.clock.advance(3)
    engine.runner.answer(1, Succeeded("good"))
    await engine.written(1)
    done = await engine.store.item(batch, 1)
    assert done.last is not None
    assert done.last.started_at == engine.clock.now().replace(second=0)
    assert done.last.ended_at == engine.clock.now()


async def test_what_starts_too_late_goes_back_unstarted(engine: EngineHarness) -> None:
    batch = await engine.submit(3)
    await engine.dispatcher.round()
    engine.clock.advance(0.501)
    await engine.written(3)
    assert engine.runner.runs == {}
    item = await engine.store.item(batch, 0)
    assert (item.state, item.reason, item.tries, item.earlier) == (ItemState.waiting, "not_started", 0, ())
    await engine.dispatcher.round()
    assert await engine.runner.lying(3) == [0, 1, 2]
    assert engine.runner.runs[0].attempt == 2


async def test_the_lease_counts_from_before_the_claim_was_asked(engine: EngineHarness) -> None:
    await engine.submit(3)

    asked = threading.Event()

    def slow(_: SqliteConnection) -> None:
        asked.wait(PATIENCE)
        engine.clock.advance(0.501)

    held = asyncio.ensure_future(engine.store.writer.run(slow))
    await asyncio.sleep(0)
    claiming = asyncio.ensure_future(engine.dispatcher.round())
    await asyncio.sleep(0)
    asked.set()
    await asyncio.gather(held, claiming)
    await engine.written(3)
    assert engine.runner.runs == {}


@pytest.mark.parametrize("wrong", [RuntimeError("oops"), TimeoutError(), asyncio.CancelledError()])
async def test_a_crashing_runner_fails_its_item_and_nothing_else(engine: EngineHarness, wrong: BaseException) -> None:
    batch = await engine.submit(2)
    await engine.dispatcher.round()
    await engine.runner.lying(2)
    engine.runner.answer(0, wrong)
    engine.runner.answer(1, Succeeded("good"))
    await engine.written(2)
    item = await engine.store.item(batch, 0)
    assert item.last is not None
    assert (item.state, item.last.code) == (ItemState.failed, "internal_error")
    assert (await engine.store.item(batch, 1)).state is ItemState.succeeded


@pytest.mark.parametrize(
    "poison",
    [
        Succeeded("good", {"object": object()}),
        Succeeded("good", {"text": "\ud800"}),
        Failed("bad", "\ud800"),
        None,
    ],
)
async def test_an_outcome_that_cannot_be_written_keeps_no_other(engine: EngineHarness, poison: Outcome) -> None:
    batch = await engine.submit(3, max_tries=2)
    await engine.dispatcher.round()
    await engine.runner.lying(3)
    for seq, outcome in enumerate([Succeeded("good"), poison, Succeeded("good")]):
        engine.runner.answer(seq, outcome)
    await engine.written(3)
    _, items = await engine.store.items(batch)
    assert [item.last.code for item in items if item.last] == ["good", "internal_error", "good"]
    assert engine.worker.active == 0


async def test_outcomes_wait_for_a_database_that_is_full(engine: EngineHarness) -> None:
    batch = await engine.submit(1)
    await engine.dispatcher.round()
    await engine.runner.lying(1)
    large = {"text": "x" * 500_000}

    def limit(pages: int | None) -> None:
        connection = house_connection[0]
        connection.pragma("max_page_count", pages or connection.pragma("page_count"))

    house_connection = [await engine.store.writer.run(lambda database: database.connection)]
    await engine.store.writer.run(lambda _: limit(None))
    engine.runner.answer(0, Succeeded("good", large))
    writing = asyncio.ensure_future(engine.written(1))
    with pytest.raises(Unavailable, match="disk is full"):
        await engine.store.draft(engine.new(notes=large), engine.worker.id)
    assert engine.worker.active == 1
    assert (await engine.store.batch(batch)).counts.active == 1
    await engine.store.writer.run(lambda _: limit(1 << 30))
    await writing
    assert engine.worker.active == 0
    assert (await engine.store.batch(batch)).counts.succeeded == 1


async def test_a_closed_database_is_unavailable_to_all(engine: EngineHarness) -> None:
    batch = await engine.submit(1)
    await engine.store.close()
    for doing in (engine.dispatcher.round(), engine.worker.reconciler.round(), engine.store.batch(batch)):
        with pytest.raises(Unavailable):
            await doing
    engine.store = SqliteStore(engine.store.path, engine.clock)
    await engine.store.open()
    assert (await engine.store.batch(batch)).counts.waiting == 1


async def test_runs_are_told_to_drop(engine: EngineHarness) -> None:
    batch, other = await engine.submit(2), await engine.submit(1, workspace="other")
    while len(engine.dispatcher.runs) < 3:
        await engine.dispatcher.round()
    kept = next(run for run in engine.dispatcher.runs.values() if run.batch == other)
    dropped = [run for run in engine.dispatcher.runs.values() if run.batch == batch]
    await engine.store.stop("w", batch, StopReason.cancel, abort=True)
    await engine.worker.drop_round()
    assert [(run.dropped.is_set(), run.drop_reason) for run in dropped] == [(True, "aborted")] * 2
    assert not kept.dropped.is_set()


async def test_what_a_worker_never_saw_goes_back_when_its_lease_is_over(engine: EngineHarness) -> None:
    batch = await engine.submit(3)
    await engine.store.claim(engine.worker.id, LANE, 1)
    await engine.dispatcher.round()
    await engine.runner.lying(2)
    for seconds in (0.1, 0.4, 0.05):  # a claim's answer may be on its way for as long as its licence lasts
        await engine.worker.reconciler.round()
        assert engine.worker.completer.waiting == 0
        engine.clock.advance(seconds)
    engine.clock.advance(0.1)
    await engine.worker.reconciler.round()
    await engine.worker.reconciler.round()
    assert engine.worker.completer.waiting == 1
    await engine.written(1)
    item = await engine.store.item(batch, 0)
    assert (item.state, item.reason, item.tries) == (ItemState.waiting, "not_started", 0)
    assert (await engine.store.batch(batch)).counts.active == 2


async def test_a_run_whose_outcome_cannot_be_written_is_not_started_again(
    engine: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays active until the next start settles it as unknown: the far side was reached."""
    batch = await engine.submit(1)
    await engine.dispatcher.round()
    await engine.runner.lying(1)
    key = next(iter(engine.dispatcher.runs))

    async def broken(worker: str, finished: Sequence[Finished]) -> FinishReport:
        raise OverflowError("no outcome can be written")

    with monkeypatch.context() as fault:
        fault.setattr(engine.store, "finish", broken)
        engine.runner.answer(0, Succeeded("good"))
        await engine.written(1)
    for _ in range(3):
        await engine.worker.reconciler.round()
        engine.clock.advance(60)
    assert engine.worker.completer.waiting == 0
    assert await engine.store.in_hand(engine.worker.id) == [key]
    assert (await engine.store.batch(batch)).pause_reason == "database_lost_commits"


async def forget_claims(engine: EngineHarness) -> None:
    """What a fail-over to a standby that was behind does: every claim so far was never made."""

    def forget(database: SqliteConnection) -> None:
        database.connection.execute(
            "DELETE FROM live; UPDATE counts SET cursor = 0, active = 0; "
            "UPDATE limits SET active = 0; UPDATE shares SET active = 0"
        )

    await engine.store.writer.run(forget)


@pytest.mark.parametrize("ended", [False, True])
async def test_a_batch_pauses_of_which_the_database_lost_what_it_had_acknowledged(
    engine: EngineHarness, ended: bool
) -> None:
    batch = await engine.submit(3)
    await engine.dispatcher.round()
    await engine.runner.lying(3)
    await forget_claims(engine)
    if ended:
        engine.runner.answer(0, Succeeded("good"))
        await engine.written(1)
    await engine.worker.reconciler.round()
    assert (await engine.store.batch(batch)).pause_reason == "database_lost_commits"
    assert (await engine.store.claim(engine.worker.id, LANE, 10)).portion is None


async def test_runs_that_others_settled_and_answers_that_were_lost_pause_nothing(engine: EngineHarness) -> None:
    batch = await engine.submit(3)
    await engine.dispatcher.round()
    await engine.runner.lying(3)
    key = next(iter(engine.dispatcher.runs))
    ended = Finished(*key, Succeeded("good"), engine.clock.now(), engine.clock.now())
    await engine.store.finish(engine.worker.id, [ended])
    engine.runner.answer(key[1], Succeeded("good"))
    await engine.written(1)
    await engine.another().enlist()
    await engine.worker.reconciler.round()
    assert (await engine.store.batch(batch)).pause_reason is None


async def test_the_next_life_settles_the_one_before(engine: EngineHarness) -> None:
    batch = await engine.submit(2)
    await engine.dispatcher.round()
    await engine.runner.lying(2)
    await engine.another().enlist()
    counts = (await engine.store.batch(batch)).counts
    assert (counts.active, counts.failed) == (0, 2)
    await engine.submit(1)
    with pytest.raises(Conflict):
        await engine.dispatcher.round()
    engine.runner.answer(0, Succeeded("good"))
    await engine.written(1)
    assert (await engine.store.batch(batch)).counts.succeeded == 1


async def test_an_aborted_run_that_reached_nobody_is_canceled(engine: EngineHarness) -> None:
    batch = await engine.submit(1)
    await engine.dispatcher.round()
    await engine.runner.lying(1)
    engine.runner.answer(0, Aborted("aborted"))
    await engine.written(1)
    assert (await engine.store.item(batch, 0)).state is ItemState.canceled
