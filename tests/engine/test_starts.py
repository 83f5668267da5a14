"""When runs start, and what becomes of a lane or a batch on which they can't."""

from datetime import UTC, datetime, timedelta

import pytest

from covey.domain.batch import BatchState
from covey.domain.lane import START_SLACK, Lane
from covey.engine.clock_offset import ClockOffset
from covey.engine.lane_backoff import FIRST_REST, FRUITLESS_GENERATIONS, MORE_GENERATIONS
from covey.engine.runner import CannotGoOn, Returned, Succeeded
from covey.store.results import Claim

from .conftest import LANE, EngineHarness, beside_another

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_the_quickest_answers_say_how_far_the_clocks_are_apart() -> None:
    ahead, noon = ClockOffset(), NOON.timestamp()
    assert ahead.of(100.000, 100.030, NOON) == (100.000 - noon, 100.030 - noon)
    assert ahead.of(100.002, 100.005, NOON) == (100.002 - noon, 100.005 - noon)
    assert ahead.of(99.500, 100.900, NOON) == (100.002 - noon, 100.005 - noon)


def test_a_link_that_is_slow_for_long_moves_no_start() -> None:
    ahead, noon = ClockOffset(), NOON.timestamp()
    for _ in range(100):
        least, most = ahead.of(100.0, 100.4, NOON)
    assert (least, most) == (100.0 - noon, 100.4 - noon)
    assert most - least > START_SLACK.total_seconds()


@pytest.mark.parametrize("by", [-3600.0, -2.0, 2.0, 3600.0])
def test_a_clock_that_was_set_is_believed_at_once(by: float) -> None:
    ahead, then = ClockOffset(), NOON + timedelta(seconds=by)
    ahead.of(100.0, 100.01, NOON)
    assert ahead.of(101.0, 101.01, then) == (101.0 - then.timestamp(), 101.01 - then.timestamp())


async def test_a_batch_that_cannot_go_on_is_stopped_and_says_why(engine: EngineHarness) -> None:
    batch = await engine.submit(5)
    await engine.dispatcher.round()
    await engine.runner.lying(5)
    engine.runner.answer(0, CannotGoOn("its agent cannot be read"))
    await engine.written(1)
    for seq in range(1, 5):
        engine.runner.answer(seq, Succeeded("done"))
    await engine.written(4)
    found = await engine.store.batch(batch)
    assert found.state is BatchState.failed
    assert found.stop_message == "its agent cannot be read"
    assert (found.counts.succeeded, found.counts.canceled) == (4, 1)


async def test_a_configuration_that_cannot_be_read_stops_the_batch(engine: EngineHarness) -> None:
    batch = await engine.submit(5, config=b"not JSON")
    await engine.dispatcher.round()
    await engine.written(5)
    found = await engine.store.batch(batch)
    assert (found.state, found.counts.canceled) == (BatchState.failed, 5)
    assert found.stop_message == "The batch's stored configuration cannot be read"


async def _go_round(engine: EngineHarness, laps: int) -> None:
    """Ten runs come back unstarted, so many times."""
    for _ in range(laps):
        await engine.dispatcher.round()
        for seq in await engine.runner.lying(10):
            engine.runner.runs[seq].started = None
            engine.runner.answer(seq, Returned("not_started", "no dialler was free in time"))
        await engine.written(10)


async def test_runs_that_cannot_be_started_hold_their_lane_and_it_says_so(engine: EngineHarness) -> None:
    await engine.submit(20)
    await _go_round(engine, FRUITLESS_GENERATIONS)
    lane = await engine.store.lane(LANE)
    assert lane is not None
    assert lane.open_until is not None
    assert lane.open_reason == "no dialler was free in time"


async def test_runs_that_come_back_together_do_not_hold_their_lane(engine: EngineHarness) -> None:
    """A trunk that takes its time to start gives back all that waited for it at once, and then works."""
    await engine.submit(20)
    await _go_round(engine, FRUITLESS_GENERATIONS - 1)
    engine.clock.advance(0.1)
    await engine.dispatcher.round()
    assert len(await engine.runner.lying(10)) == 10
    engine.clock.advance(0.1)
    engine.runner.answer(0, Returned("not_started"))
    await engine.written(1)
    lane = await engine.store.lane(LANE)
    assert lane is not None
    assert lane.open_until is None, "the others have started since"
    for seq in range(1, 10):
        engine.runner.answer(seq, Succeeded("done"))
    await engine.written(9)


async def test_a_lane_that_was_held_here_goes_on_when_a_run_has_started(engine: EngineHarness) -> None:
    """And not when that run has ended: a call may take minutes, and one of them would be all that the lane does."""
    await engine.submit(20)
    await _go_round(engine, FRUITLESS_GENERATIONS)
    engine.clock.advance(2.1)
    await engine.dispatcher.round()
    assert len(await engine.runner.lying(1)) == 1, "one tries"
    await engine.dispatcher.round()
    assert len(await engine.runner.lying(10)) == 10
    lane = await engine.store.lane(LANE)
    assert lane is not None
    assert lane.open_until is None


async def test_beside_others_a_worker_that_can_start_nothing_rests_alone(
    engine: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What keeps it from starting may be its own: no dialler, no memory. They hold no lane for that."""
    beside_another(engine, monkeypatch)
    await engine.submit(20)
    await _go_round(engine, FRUITLESS_GENERATIONS)
    lane = await engine.store.lane(LANE)
    assert lane is not None
    assert lane.open_until is None
    for rest in (FIRST_REST, 2 * FIRST_REST):
        await engine.dispatcher.round()
        assert engine.runner.runs == {}, "it rests"
        engine.clock.advance(rest)
        for _ in range(MORE_GENERATIONS):
            await engine.dispatcher.round()
            await engine.dispatcher.round()
            [seq] = await engine.runner.lying(1)
            engine.runner.runs[seq].started = None
            engine.runner.answer(seq, Returned("not_started"))
            await engine.written(1)
    engine.clock.advance(4 * FIRST_REST)
    await engine.dispatcher.round()
    await engine.runner.lying(1)
    await engine.dispatcher.round()
    assert len(await engine.runner.lying(10)) == 10, "as soon as one has started it goes on"


async def test_a_slow_database_moves_no_paced_start(engine: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim may take longer than a start may be late. Its answer alone would say too little of the store's clock."""
    claim = engine.store.claim

    async def slow(worker: str, lane: str, room: int) -> Claim:
        found = await claim(worker, lane, room)
        engine.clock.advance(0.1)
        return found

    monkeypatch.setattr(engine.store, "claim", slow)
    await engine.store.put_lane(Lane(LANE, 100, 10))
    await engine.submit(5)
    await engine.dispatcher.round()
    for run in [engine.runner.runs[seq] for seq in await engine.runner.lying(2)]:
        assert run.lease_until - run.start_at == pytest.approx(START_SLACK.total_seconds(), abs=1e-6)


async def test_a_clock_that_is_set_back_makes_nobody_ask_without_a_pause(engine: EngineHarness) -> None:
    await engine.submit(1)
    await engine.dispatcher.round()
    [seq] = await engine.runner.lying(1)
    engine.runner.answer(seq, Succeeded("done"))
    await engine.written(1)
    engine.clock.set_back(3600)
    await engine.submit(1, start_at=engine.clock.now() + timedelta(seconds=600))
    again_at = await engine.dispatcher.round()
    assert again_at is not None
    assert engine.dispatcher._offset.until(again_at, engine.clock) == pytest.approx(600, abs=1)


async def test_a_paced_run_that_is_late_is_not_started(engine: EngineHarness) -> None:
    await engine.store.put_lane(Lane(LANE, 100, 1))
    await engine.submit(1)
    await engine.dispatcher.round()
    [seq] = await engine.runner.lying(1)
    run = engine.runner.runs[seq]
    assert run.lease_until - run.start_at == pytest.approx(START_SLACK.total_seconds(), abs=1e-6)
    engine.runner.answer(seq, Succeeded("done"))
    await engine.written(1)
