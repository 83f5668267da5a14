"""What the log says of a lane that is held."""

from datetime import timedelta

from structlog.testing import capture_logs

from covey.engine.health import LaneHealth

from .conftest import LANE, EngineHarness


async def test_a_held_lane_is_told_once_with_its_reason(engine: EngineHarness) -> None:
    health = LaneHealth(engine.store, engine.clock, engine.wakeups, {LANE: engine.runner}, engine.worker)
    with capture_logs() as logs:
        engine.runner.wrong = "the model takes no more for 30 s"
        await health.round()
        engine.runner.wrong = "the model takes no more for 25 s"
        await health.round()
        engine.runner.wrong = None
        await health.round()
        await health.round()
    assert [(one["log_level"], one["event"], one["lane"], one.get("why")) for one in logs] == [
        ("warning", "lane_held", LANE, "the model takes no more for 30 s"),
        ("info", "lane_resumed", LANE, None),
    ]


async def test_a_breaker_that_runs_opened_is_told_too(engine: EngineHarness) -> None:
    health = LaneHealth(engine.store, engine.clock, engine.wakeups, {LANE: engine.runner}, engine.worker)
    await engine.store.open_lane(LANE, engine.clock.now() + timedelta(seconds=9), "model_down")
    with capture_logs() as logs:
        await health.round()
        await health.round()
    assert [(one["log_level"], one["why"]) for one in logs] == [("warning", "model_down")]
