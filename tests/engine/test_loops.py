"""The loops as they run in a server: start, work, drain, stop; health, sweeping, submitting."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from covey.domain.batch import BatchState, NewItem, Quota, StopReason
from covey.domain.errors import Conflict, NotFound
from covey.domain.item import ItemState
from covey.domain.lane import Lane
from covey.engine.health import WORKED, LaneHealth
from covey.engine.runner import Failed, Returned, Succeeded
from covey.engine.submission import Submission
from covey.engine.sweeper import Sweeper
from covey.engine.worker import Worker
from tests.patience import patience

from .conftest import ANY, LANE, EngineHarness, ManualRunner, beside_another


async def drained(engine: EngineHarness, seconds: float = 10, *, hurry: bool = False) -> None:
    """The worker's drain and end."""
    event = asyncio.Event()
    if hurry:
        event.set()
    await engine.worker.drain(seconds, event)
    await engine.worker.stop()


async def test_a_worker_sees_a_batch_to_its_end(engine: EngineHarness) -> None:
    batch = await engine.submit(25)
    engine.worker.start()
    for done in range(0, 25, 5):
        lying = await engine.runner.lying(min(10, 25 - done))
        for seq in lying[:5]:
            engine.runner.answer(seq, Succeeded("good"))
        await asyncio.sleep(0)
        if done < 20:
            await engine.runner.lying(min(10, 20 - done))
    await drained(engine)
    done_batch = await engine.store.batch(batch)
    assert (done_batch.state, done_batch.counts.succeeded) == (BatchState.completed, 25)
    assert await engine.store.dead_workers("another") == []


async def test_a_drain_lets_runs_end_and_claims_no_more(engine: EngineHarness) -> None:
    batch = await engine.submit(20)
    engine.worker.start()
    await engine.runner.lying(10)
    draining = asyncio.ensure_future(drained(engine))
    await asyncio.sleep(0)
    for seq in range(10):
        assert not engine.runner.runs[seq].dropped.is_set()
    for seq in range(10):
        engine.runner.answer(seq, Succeeded("good"))
    await draining
    counts = (await engine.store.batch(batch)).counts
    assert (counts.waiting, counts.active, counts.succeeded) == (10, 0, 10)


@pytest.mark.parametrize("hurry", [False, True])
async def test_when_the_drains_time_is_over_runs_are_dropped(engine: EngineHarness, *, hurry: bool) -> None:
    batch = await engine.submit(2)
    engine.worker.start()
    await engine.runner.lying(2)
    runs = list(engine.runner.runs.values())
    draining = asyncio.ensure_future(drained(engine, 600 if hurry else 0.01, hurry=hurry))
    for run in runs:
        await run.dropped.wait()
        assert run.drop_reason == "interrupted"
        engine.runner.answer(run.seq, Failed("interrupted", "Hung up because the server was stopped"))
    await draining
    assert (await engine.store.batch(batch)).counts.failed == 2


async def test_a_worker_that_was_given_up_stops_claiming(engine: EngineHarness) -> None:
    await engine.another().enlist()
    engine.worker.start()
    async with patience():
        while engine.dispatcher.claiming:
            await asyncio.sleep(0)
    await engine.submit(1)
    await engine.worker.stop()
    assert engine.runner.runs == {}


async def test_a_lane_is_held_while_its_far_side_is_silent(engine: EngineHarness) -> None:
    health = LaneHealth(engine.store, engine.clock, engine.wakeups, {LANE: engine.runner}, engine.worker)
    await engine.submit(1)
    engine.runner.wrong = "no answer"
    await health.round()
    status = await engine.store.lane(LANE)
    assert status is not None
    assert status.open_until == engine.clock.now() + timedelta(seconds=12)
    assert status.open_reason == "no answer"
    await engine.dispatcher.round()
    assert engine.worker.active == 0
    engine.runner.wrong = None
    engine.wakeups.lane(LANE).clear()
    await health.round()
    assert engine.wakeups.lane(LANE).is_set()
    await engine.dispatcher.round()
    assert engine.worker.active == 1


async def test_a_run_that_ends_wakes_its_own_lane_only(engine: EngineHarness) -> None:
    engine.worker = Worker(
        engine.store,
        engine.clock,
        engine.wakeups,
        {LANE: engine.runner, "other": ManualRunner(engine.clock)},
        10,
        engine.metrics,
    )
    await engine.worker.enlist()
    await engine.submit(1)
    await engine.dispatcher.round()
    await engine.runner.lying(1)
    engine.runner.answer(0, Succeeded("done"))
    await engine.written(1)
    assert engine.wakeups.lane(LANE).is_set()
    assert not engine.wakeups.lane("other").is_set()


@pytest.mark.parametrize("wrong", [TimeoutError(), OSError("no route")])
async def test_a_ping_that_crashes_holds_its_own_lane_only(engine: EngineHarness, wrong: Exception) -> None:
    other = ManualRunner(engine.clock)
    runners = {LANE: engine.runner, "other": other}
    engine.worker = Worker(engine.store, engine.clock, engine.wakeups, runners, 10, engine.metrics)
    await engine.store.put_lane(Lane("other", 5))
    await engine.store.open_lane("other", engine.clock.now() + timedelta(hours=1), "no answer")
    health = LaneHealth(engine.store, engine.clock, engine.wakeups, runners, engine.worker)
    engine.runner.wrong = wrong
    other.wrong = "no answer"
    await health.round()
    other.wrong = None
    await health.round()
    lanes = {lane.name: lane.open_until is not None for lane in await engine.store.lanes()}
    assert lanes == {LANE: True, "other": False}


async def test_a_far_side_that_works_for_others_is_held_by_nobody(
    engine: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One machine has lost its way to the trunk: it claims nothing itself, and the others go on."""
    beside_another(engine, monkeypatch)
    health = LaneHealth(engine.store, engine.clock, engine.wakeups, {LANE: engine.runner}, engine.worker)
    await engine.submit(3)
    await engine.dispatcher.round()
    await engine.runner.lying(3)
    engine.runner.answer(0, Succeeded("done"))
    engine.runner.answer(1, Returned("not_started"))
    await engine.written(2)
    engine.runner.wrong = "no route"
    await health.round()
    assert not await _held(engine)
    await engine.dispatcher.round()
    assert sorted(engine.runner.runs) == [2], "it rests"
    engine.runner.wrong = None
    await health.round()
    await engine.dispatcher.round()
    await engine.runner.lying(2)
    engine.runner.wrong = "no route"
    engine.clock.advance(WORKED.total_seconds() + 1)
    await health.round()
    assert await _held(engine), "it has not worked for anybody lately"
    engine.runner.wrong = None
    await health.round()
    assert not await _held(engine)


async def _held(engine: EngineHarness) -> bool:
    status = await engine.store.lane(LANE)
    assert status is not None
    return status.open_until is not None


async def test_health_closes_nothing_that_it_did_not_open(engine: EngineHarness) -> None:
    health = LaneHealth(engine.store, engine.clock, engine.wakeups, {LANE: engine.runner}, engine.worker)
    await engine.store.open_lane(LANE, engine.clock.now() + timedelta(seconds=9), "failing")
    await health.round()
    status = await engine.store.lane(LANE)
    assert status is not None
    assert status.open_reason == "failing"


class Shelf:
    """Where the files of batches lie."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []
        self.broken = False

    async def forget(self, batch: str) -> None:
        if self.broken:
            raise OSError("the shelf is broken")
        self.forgotten.append(batch)


def sweeper(engine: EngineHarness, shelf: Shelf) -> Sweeper:
    return Sweeper(engine.store, engine.clock, engine.wakeups, engine.worker.id, ["desk"], shelf.forget)


async def test_a_sweep_expires_and_wakes(engine: EngineHarness) -> None:
    batch = await engine.submit(1, expires_at=engine.clock.now() + timedelta(seconds=5))
    sweep = sweeper(engine, Shelf())
    await sweep.round()
    assert not engine.wakeups.drops.is_set()
    engine.clock.advance(5)
    await sweep.round()
    assert (await engine.store.batch(batch)).state is BatchState.expired
    assert engine.wakeups.drops.is_set()


async def test_a_sweep_removes_what_is_old_with_its_files(engine: EngineHarness) -> None:
    keep = timedelta(days=30)
    batch = await engine.submit(3, keep=keep)
    await engine.dispatcher.round()
    for seq in await engine.runner.lying(3):
        engine.runner.answer(seq, Succeeded("good"))
    await engine.written(3)
    shelf = Shelf()
    engine.clock.advance(keep.total_seconds() - 1)
    await sweeper(engine, shelf).round()
    assert (await engine.store.batch(batch)).id == batch
    assert shelf.forgotten == []
    engine.clock.advance(2)
    await sweeper(engine, shelf).round()
    assert shelf.forgotten == [batch]
    with pytest.raises(NotFound):
        await engine.store.batch(batch)


async def test_a_sweep_goes_on_though_files_cannot_be_removed(engine: EngineHarness) -> None:
    batch = await engine.submit(1)
    expiring = await engine.submit(1, expires_at=engine.clock.now() + timedelta(seconds=5))
    await engine.store.stop("w", batch, StopReason.cancel)
    await engine.store.erase_batch("w", batch)
    shelf = Shelf()
    shelf.broken = True
    sweep = sweeper(engine, shelf)
    await sweep.round()
    engine.clock.advance(5)
    await sweep.round()
    assert (await engine.store.batch(expiring)).state is BatchState.expired


async def pieces(*sizes: int, wrong: Exception | None = None) -> AsyncIterator[Sequence[NewItem]]:
    for size in sizes:
        yield [NewItem(b"{}")] * size
    if wrong is not None:
        raise wrong


async def test_a_list_becomes_a_batch_in_pieces(engine: EngineHarness) -> None:
    engine.wakeups.lane(LANE).clear()
    made = await Submission(engine.store, engine.wakeups, engine.worker.id).submit(
        engine.new(), pieces(3, 2), ANY, "key"
    )
    assert made.counts.total == 5
    assert engine.wakeups.lane(LANE).is_set()
    assert [item.state for item in (await engine.store.items(made.id))[1]] == [ItemState.waiting] * 5


@pytest.mark.parametrize(
    ("wrong", "quota"),
    [(ValueError("row 7"), ANY), (asyncio.CancelledError(), ANY), (None, Quota(unended_batches=0))],
)
async def test_whatever_goes_wrong_leaves_nothing(engine: EngineHarness, wrong: Exception | None, quota: Quota) -> None:
    new = engine.new()
    with pytest.raises(type(wrong) if wrong else Conflict):
        await Submission(engine.store, engine.wakeups, engine.worker.id).submit(new, pieces(3, wrong=wrong), quota)
    assert await engine.store.batches(None, origin=None) == ([], 0)
    shelf = Shelf()
    await sweeper(engine, shelf).round()
    assert shelf.forgotten == [new.id]
