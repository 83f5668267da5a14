"""Orders that take runs back: what has not started comes back before the order is answered, and starts no more."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

import orjson
import pytest

from covey.domain.batch import BatchState, NewItem, StopReason
from covey.domain.errors import Unavailable
from covey.domain.item import ItemState
from covey.domain.lane import Lane
from covey.engine import withdrawals
from covey.engine.lane_backoff import FRUITLESS_GENERATIONS
from covey.engine.orders import Orders
from covey.engine.runner import Failed, Outcome, Run
from covey.engine.wakeups import Wakeups
from covey.engine.worker import Worker
from covey.store.results import Claim

from ..clock import ManualClock
from .conftest import ANY, LANE, EngineHarness


class Anteroom:
    """A runner whose runs wait for their start until the test lets them in, or they are withdrawn."""

    kind = "anteroom"

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._doors: dict[str, asyncio.Event] = {}
        self.waiting: dict[str, Run] = {}
        self.inside: dict[int, Run] = {}
        self.deaf = False
        """Whether it takes no notice of a withdrawal, as a runner whose other half stands still."""

    async def run(self, run: Run) -> Outcome:
        self.waiting[run.item] = run
        self._doors[run.item] = asyncio.Event()
        waits = [asyncio.create_task(event.wait()) for event in (self._doors[run.item], run.withdrawn)]
        try:
            await asyncio.wait(waits[:1] if self.deaf else waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            del self.waiting[run.item]
        if run.is_withdrawn and not self.deaf:
            return run.unstarted()
        run.started = self._clock.monotonic()
        self.inside[run.seq] = run
        await run.dropped.wait()
        return Failed(run.drop_reason or "", "It was dropped")

    def load_config(self, config: bytes) -> Any:
        return orjson.loads(config)

    async def ping(self, lane: str) -> str | None:
        return None

    @property
    def seqs(self) -> list[int]:
        """The items whose runs wait."""
        return sorted(run.seq for run in self.waiting.values())

    def let_in(self, seqs: Collection[int]) -> None:
        """The runs of these items start."""
        for run in self.waiting.values():
            if run.seq in seqs:
                self._doors[run.item].set()


class Scene:
    """A worker of one room, its loops but the dispatcher's running, and the orders of its process."""

    def __init__(self, engine: EngineHarness) -> None:
        self.engine = engine
        self.room = Anteroom(engine.clock)
        self.wakeups = Wakeups()
        self.worker = Worker(engine.store, engine.clock, self.wakeups, {LANE: self.room}, 40, engine.metrics)
        self.orders = Orders(engine.store, self.wakeups, self.worker.withdrawals)

    async def handed_out(self, waiting: int) -> None:
        """Claim until so many runs wait for their start."""
        await self.worker.dispatchers[LANE].round()
        async with asyncio.timeout(10):
            while len(self.room.waiting) < waiting:
                await asyncio.sleep(0)

    async def start(self, *seqs: int) -> None:
        """Let these in."""
        self.room.let_in(seqs)
        async with asyncio.timeout(10):
            while not set(seqs) <= set(self.room.inside):
                await asyncio.sleep(0)

    async def refs(self, *refs: str) -> str:
        """A batch of items about these."""
        new = self.engine.new()
        await self.engine.store.draft(new, self.worker.id)
        await self.engine.store.append(new.id, 0, [NewItem(b"{}", ref=ref) for ref in refs])
        await self.engine.store.accept(new.id, len(refs), ANY)
        return new.id


@pytest.fixture
async def scene(engine: EngineHarness) -> AsyncIterator[Scene]:
    scene = Scene(engine)
    await scene.worker.enlist()
    scene.worker.completer.start()
    yield scene
    hurry = asyncio.Event()
    hurry.set()
    scene.room.deaf = False
    await scene.worker.drain(0, hurry)
    await scene.worker.stop()


async def test_a_stop_is_answered_when_what_had_not_started_is_canceled(scene: Scene) -> None:
    batch = await scene.engine.submit(20)
    await scene.handed_out(20)
    await scene.start(0, 1)
    stopped = await scene.orders.stop("w", batch, StopReason.cancel)
    counts = stopped.batch.counts
    assert stopped.first
    assert (counts.active, counts.canceled) == (2, 18)
    assert scene.room.waiting == {}
    assert not any(run.dropped.is_set() for run in scene.room.inside.values()), "what has started goes on"


async def test_with_abort_what_has_started_is_dropped_and_what_had_not_is_canceled(scene: Scene) -> None:
    batch = await scene.engine.submit(5)
    await scene.handed_out(5)
    await scene.start(3)
    counts = (await scene.orders.stop("w", batch, StopReason.cancel, abort=True)).batch.counts
    assert (counts.active, counts.canceled) == (1, 4)
    await scene.worker.drop_round()
    assert scene.room.inside[3].drop_reason == "aborted"


async def test_a_pause_is_answered_when_what_had_not_started_waits_again(scene: Scene) -> None:
    batch = await scene.engine.submit(5)
    await scene.handed_out(5)
    await scene.start(2)
    paused = await scene.orders.pause("w", batch, "asked")
    assert (paused.state, paused.counts.active, paused.counts.waiting) == (BatchState.paused, 1, 4)
    item = await scene.engine.store.item(batch, 0)
    assert (item.state, item.reason, item.tries, item.earlier) == (ItemState.waiting, "not_started", 0, ())
    await scene.engine.store.resume("w", batch)
    await scene.handed_out(4)
    assert {run.attempt for run in scene.room.waiting.values()} == {2}


async def test_one_item_that_is_dropped_before_its_start_never_starts(scene: Scene) -> None:
    batch = await scene.engine.submit(3)
    await scene.handed_out(3)
    assert await scene.orders.drop("w", batch, 1)
    assert (await scene.engine.store.item(batch, 1)).state is ItemState.canceled
    assert scene.room.seqs == [0, 2]
    assert (await scene.worker.dispatchers[LANE].round()) is None
    assert scene.room.seqs == [0, 2]


async def test_what_is_blocked_before_its_start_is_not_touched(scene: Scene) -> None:
    batch = await scene.refs("a", "b", "c")
    await scene.handed_out(3)
    await scene.start(2)
    assert await scene.orders.block("w", ["b", "c"], "asked") == 2
    assert scene.room.seqs == [0]
    await scene.worker.dispatchers[LANE].round()
    item = await scene.engine.store.item(batch, 1)
    assert item.last is not None
    assert (item.state, item.last.code) == (ItemState.canceled, "do_not_call")


async def test_what_another_process_blocks_is_taken_back_here(scene: Scene) -> None:
    batch = await scene.refs("a", "b", "b2")
    await scene.handed_out(3)
    await scene.engine.store.block("w", ["b"], "asked")
    await scene.engine.store.block("another", ["a"], "asked")
    scene.wakeups.heard("drop")
    assert scene.wakeups.drops.is_set()
    await scene.worker.drop_round()
    async with asyncio.timeout(10):
        while (await scene.engine.store.item(batch, 1)).state is not ItemState.waiting:
            await asyncio.sleep(0)
    assert scene.room.seqs == [0, 2]


async def test_what_another_process_stops_is_taken_back_here(scene: Scene) -> None:
    batch, other = await scene.engine.submit(3), await scene.engine.submit(2, workspace="other")
    for waiting in (2, 5):
        await scene.handed_out(waiting)
    await scene.engine.store.stop("w", batch, StopReason.cancel)
    scene.wakeups.heard(f"withdraw:{batch}")
    async with asyncio.timeout(10):
        while (await scene.engine.store.batch(batch)).counts.active:
            await asyncio.sleep(0)
    assert {run.batch for run in scene.room.waiting.values()} == {other}


async def test_an_order_does_not_wait_for_ever(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come back is active; it may start until its licence is over, and that is found out."""
    monkeypatch.setattr(withdrawals, "WAIT_SECONDS", 0.05)
    scene.room.deaf = True
    batch = await scene.engine.submit(2)
    await scene.handed_out(2)
    counts = (await scene.orders.stop("w", batch, StopReason.cancel)).batch.counts
    assert (counts.active, counts.canceled) == (2, 0)
    fates = [run.withdraw() for run in scene.room.waiting.values()]
    await scene.start(0, 1)
    assert [fate.result() for fate in fates] == [True, True]


async def test_several_orders_wait_for_the_same_runs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that gives up leaves the others waiting."""
    scene.room.deaf = True
    batch = await scene.engine.submit(1)
    await scene.handed_out(1)
    with monkeypatch.context() as short:
        short.setattr(withdrawals, "WAIT_SECONDS", 0.01)
        await scene.orders.pause("w", batch, "asked")
    monkeypatch.setattr(withdrawals, "WAIT_SECONDS", 60)
    stopping = asyncio.create_task(scene.orders.stop("w", batch, StopReason.cancel))
    await scene.start(0)
    assert (await asyncio.wait_for(stopping, 10)).batch.counts.active == 1


async def test_a_claim_on_its_way_brings_nothing_that_starts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was written before the order, and its answer comes after. Not even the runner sees such a run."""
    scene.room.deaf = True
    store, held, go_on = scene.engine.store, asyncio.Event(), asyncio.Event()
    claim = store.claim

    async def slow(worker: str, lane: str, room: int) -> Claim:
        found = await claim(worker, lane, room)
        held.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(store, "claim", slow)
    batch = await scene.engine.submit(4)
    claiming = asyncio.create_task(scene.worker.dispatchers[LANE].round())
    await held.wait()
    stopping = asyncio.create_task(scene.orders.stop("w", batch, StopReason.cancel))
    on_its_way = scene.worker.dispatchers[LANE]._unanswered
    assert on_its_way is not None
    async with asyncio.timeout(10):
        while not on_its_way.orders:
            await asyncio.sleep(0)
    go_on.set()
    counts = (await stopping).batch.counts
    await claiming
    assert (counts.active, counts.canceled) == (0, 4)
    assert scene.room.inside == {}
    assert scene.room.waiting == {}


async def test_a_claim_without_an_answer_holds_no_order_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = await scene.engine.submit(4)
    await scene.engine.store.put_lane(Lane(LANE, 2))
    await scene.handed_out(2)
    go_on = asyncio.Event()

    async def lost(worker: str, lane: str, room: int) -> Claim:
        await go_on.wait()
        raise Unavailable("no answer")

    monkeypatch.setattr(scene.engine.store, "claim", lost)
    claiming = asyncio.create_task(scene.worker.dispatchers[LANE].round())
    await asyncio.sleep(0)
    stopping = asyncio.create_task(scene.orders.stop("w", batch, StopReason.cancel))
    async with asyncio.timeout(10):
        while scene.room.waiting:
            await asyncio.sleep(0)
    go_on.set()
    assert (await asyncio.wait_for(stopping, 10)).batch.counts.canceled == 4
    with pytest.raises(Unavailable):
        await claiming


async def test_an_order_that_is_written_is_answered_whatever_becomes_of_the_database(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await scene.engine.submit(2)
    await scene.handed_out(2)

    async def away(batch: str, workspace: str | None = None, *, bare: bool = False) -> None:
        raise Unavailable("no answer")

    with monkeypatch.context() as fault:
        fault.setattr(scene.engine.store, "batch", away)
        stopped = await scene.orders.stop("w", batch, StopReason.cancel)
    assert (stopped.first, stopped.batch.counts.active) == (True, 2)
    assert (await scene.engine.store.batch(batch)).counts.canceled == 2


async def test_what_is_taken_back_again_and_again_is_no_reason_to_back_off(scene: Scene) -> None:
    """Those runs could have started."""
    batch = await scene.engine.submit(3)
    for _ in range(FRUITLESS_GENERATIONS + 5):
        await scene.handed_out(3)
        await scene.orders.pause("w", batch, "asked")
        await scene.engine.store.resume("w", batch)
    lane = await scene.engine.store.lane(LANE)
    assert lane is not None
    assert lane.open_until is None


async def test_what_ended_in_between_is_known(scene: Scene) -> None:
    """A run that has started and ended is no run that came back."""
    batch = await scene.engine.submit(1)
    await scene.handed_out(1)
    [run] = scene.room.waiting.values()
    fate = run.withdraw()
    run.started = scene.engine.clock.monotonic()
    assert fate.result() is True
    assert run.withdraw() is fate
    await scene.orders.stop("w", batch, StopReason.cancel)
