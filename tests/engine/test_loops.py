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

from .conftest import ANY, LANE, Desk, House, beside_another


async def drained(house: House, seconds: float = 10, *, hurry: bool = False) -> None:
    """The worker's drain and end."""
    event = asyncio.Event()
    if hurry:
        event.set()
    await house.worker.drain(seconds, event)
    await house.worker.stop()


async def test_a_worker_sees_a_batch_to_its_end(house: House) -> None:
    batch = await house.submit(25)
    house.worker.start()
    for done in range(0, 25, 5):
        lying = await house.desk.lying(min(10, 25 - done))
        for seq in lying[:5]:
            house.desk.answer(seq, Succeeded("good"))
        await asyncio.sleep(0)
        if done < 20:
            await house.desk.lying(min(10, 20 - done))
    await drained(house)
    done_batch = await house.store.batch(batch)
    assert (done_batch.state, done_batch.counts.succeeded) == (BatchState.completed, 25)
    assert await house.store.dead_workers("another") == []


async def test_a_drain_lets_runs_end_and_claims_no_more(house: House) -> None:
    batch = await house.submit(20)
    house.worker.start()
    await house.desk.lying(10)
    draining = asyncio.ensure_future(drained(house))
    await asyncio.sleep(0)
    for seq in range(10):
        assert not house.desk.runs[seq].dropped.is_set()
    for seq in range(10):
        house.desk.answer(seq, Succeeded("good"))
    await draining
    counts = (await house.store.batch(batch)).counts
    assert (counts.waiting, counts.active, counts.succeeded) == (10, 0, 10)


@pytest.mark.parametrize("hurry", [False, True])
async def test_when_the_drains_time_is_over_runs_are_dropped(house: House, *, hurry: bool) -> None:
    batch = await house.submit(2)
    house.worker.start()
    await house.desk.lying(2)
    runs = list(house.desk.runs.values())
    draining = asyncio.ensure_future(drained(house, 600 if hurry else 0.01, hurry=hurry))
    for run in runs:
        await run.dropped.wait()
        assert run.drop_reason == "interrupted"
        house.desk.answer(run.seq, Failed("interrupted", "Hung up because the server was stopped"))
    await draining
    assert (await house.store.batch(batch)).counts.failed == 2


async def test_a_worker_that_was_given_up_stops_claiming(house: House) -> None:
    await house.another().enlist()
    house.worker.start()
    async with patience():
        while house.dispatcher.claiming:
            await asyncio.sleep(0)
    await house.submit(1)
    await house.worker.stop()
    assert house.desk.runs == {}


async def test_a_lane_is_held_while_its_far_side_is_silent(house: House) -> None:
    health = LaneHealth(house.store, house.clock, house.hints, {LANE: house.desk}, house.worker)
    await house.submit(1)
    house.desk.wrong = "no answer"
    await health.round()
    status = await house.store.lane(LANE)
    assert status is not None
    assert status.open_until == house.clock.now() + timedelta(seconds=12)
    assert status.open_reason == "no answer"
    await house.dispatcher.round()
    assert house.worker.active == 0
    house.desk.wrong = None
    house.hints.lane(LANE).clear()
    await health.round()
    assert house.hints.lane(LANE).is_set()
    await house.dispatcher.round()
    assert house.worker.active == 1


async def test_a_run_that_ends_wakes_its_own_lane_only(house: House) -> None:
    house.worker = Worker(
        house.store, house.clock, house.hints, {LANE: house.desk, "other": Desk(house.clock)}, 10, house.metrics
    )
    await house.worker.enlist()
    await house.submit(1)
    await house.dispatcher.round()
    await house.desk.lying(1)
    house.desk.answer(0, Succeeded("done"))
    await house.written(1)
    assert house.hints.lane(LANE).is_set()
    assert not house.hints.lane("other").is_set()


@pytest.mark.parametrize("wrong", [TimeoutError(), OSError("no route")])
async def test_a_ping_that_crashes_holds_its_own_lane_only(house: House, wrong: Exception) -> None:
    other = Desk(house.clock)
    runners = {LANE: house.desk, "other": other}
    house.worker = Worker(house.store, house.clock, house.hints, runners, 10, house.metrics)
    await house.store.put_lane(Lane("other", 5))
    await house.store.open_lane("other", house.clock.now() + timedelta(hours=1), "no answer")
    health = LaneHealth(house.store, house.clock, house.hints, runners, house.worker)
    house.desk.wrong = wrong
    other.wrong = "no answer"
    await health.round()
    other.wrong = None
    await health.round()
    lanes = {lane.name: lane.open_until is not None for lane in await house.store.lanes()}
    assert lanes == {LANE: True, "other": False}


async def test_a_far_side_that_works_for_others_is_held_by_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One machine has lost its way to the trunk: it claims nothing itself, and the others go on."""
    beside_another(house, monkeypatch)
    health = LaneHealth(house.store, house.clock, house.hints, {LANE: house.desk}, house.worker)
    await house.submit(3)
    await house.dispatcher.round()
    await house.desk.lying(3)
    house.desk.answer(0, Succeeded("done"))
    house.desk.answer(1, Returned("not_started"))
    await house.written(2)
    house.desk.wrong = "no route"
    await health.round()
    assert not await _held(house)
    await house.dispatcher.round()
    assert sorted(house.desk.runs) == [2], "it rests"
    house.desk.wrong = None
    await health.round()
    await house.dispatcher.round()
    await house.desk.lying(2)
    house.desk.wrong = "no route"
    house.clock.advance(WORKED.total_seconds() + 1)
    await health.round()
    assert await _held(house), "it has not worked for anybody lately"
    house.desk.wrong = None
    await health.round()
    assert not await _held(house)


async def _held(house: House) -> bool:
    status = await house.store.lane(LANE)
    assert status is not None
    return status.open_until is not None


async def test_health_closes_nothing_that_it_did_not_open(house: House) -> None:
    health = LaneHealth(house.store, house.clock, house.hints, {LANE: house.desk}, house.worker)
    await house.store.open_lane(LANE, house.clock.now() + timedelta(seconds=9), "failing")
    await health.round()
    status = await house.store.lane(LANE)
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


def sweeper(house: House, shelf: Shelf) -> Sweeper:
    return Sweeper(house.store, house.clock, house.hints, house.worker.id, ["desk"], shelf.forget)


async def test_a_sweep_expires_and_hints(house: House) -> None:
    batch = await house.submit(1, expires_at=house.clock.now() + timedelta(seconds=5))
    sweep = sweeper(house, Shelf())
    await sweep.round()
    assert not house.hints.drops.is_set()
    house.clock.advance(5)
    await sweep.round()
    assert (await house.store.batch(batch)).state is BatchState.expired
    assert house.hints.drops.is_set()


async def test_a_sweep_removes_what_is_old_with_its_files(house: House) -> None:
    keep = timedelta(days=30)
    batch = await house.submit(3, keep=keep)
    await house.dispatcher.round()
    for seq in await house.desk.lying(3):
        house.desk.answer(seq, Succeeded("good"))
    await house.written(3)
    shelf = Shelf()
    house.clock.advance(keep.total_seconds() - 1)
    await sweeper(house, shelf).round()
    assert (await house.store.batch(batch)).id == batch
    assert shelf.forgotten == []
    house.clock.advance(2)
    await sweeper(house, shelf).round()
    assert shelf.forgotten == [batch]
    with pytest.raises(NotFound):
        await house.store.batch(batch)


async def test_a_sweep_goes_on_though_files_cannot_be_removed(house: House) -> None:
    batch = await house.submit(1)
    expiring = await house.submit(1, expires_at=house.clock.now() + timedelta(seconds=5))
    await house.store.stop("w", batch, StopReason.cancel)
    await house.store.erase_batch("w", batch)
    shelf = Shelf()
    shelf.broken = True
    sweep = sweeper(house, shelf)
    await sweep.round()
    house.clock.advance(5)
    await sweep.round()
    assert (await house.store.batch(expiring)).state is BatchState.expired


async def pieces(*sizes: int, wrong: Exception | None = None) -> AsyncIterator[Sequence[NewItem]]:
    for size in sizes:
        yield [NewItem(b"{}")] * size
    if wrong is not None:
        raise wrong


async def test_a_list_becomes_a_batch_in_pieces(house: House) -> None:
    house.hints.lane(LANE).clear()
    made = await Submission(house.store, house.hints, house.worker.id).submit(house.new(), pieces(3, 2), ANY, "key")
    assert made.counts.total == 5
    assert house.hints.lane(LANE).is_set()
    assert [item.state for item in (await house.store.items(made.id))[1]] == [ItemState.waiting] * 5


@pytest.mark.parametrize(
    ("wrong", "quota"),
    [(ValueError("row 7"), ANY), (asyncio.CancelledError(), ANY), (None, Quota(unended_batches=0))],
)
async def test_whatever_goes_wrong_leaves_nothing(house: House, wrong: Exception | None, quota: Quota) -> None:
    new = house.new()
    with pytest.raises(type(wrong) if wrong else Conflict):
        await Submission(house.store, house.hints, house.worker.id).submit(new, pieces(3, wrong=wrong), quota)
    assert await house.store.batches(None, origin=None) == ([], 0)
    shelf = Shelf()
    await sweeper(house, shelf).round()
    assert shelf.forgotten == [new.id]
