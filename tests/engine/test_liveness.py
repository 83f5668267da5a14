"""The loop that settles what dead workers left."""

from datetime import timedelta

import pytest

from covey.domain.item import ItemState
from covey.engine.rescuer import Rescuer

from .conftest import LANE, EngineHarness


async def leave_runs(engine: EngineHarness, items: int) -> str:
    """A batch whose first items are in the hands of a worker that is gone."""
    batch = await engine.submit(items + 1)
    await engine.store.enlist("gone")
    claim = await engine.store.claim("gone", LANE, items)
    assert claim.portion is not None
    assert len(claim.portion.runs) == items
    return batch


async def slots(engine: EngineHarness) -> int:
    status = await engine.store.lane(LANE)
    assert status is not None
    return status.active


@pytest.mark.parametrize(("hold", "held"), [({}, 0), ({LANE: timedelta(seconds=600)}, 2)])
async def test_what_a_dead_worker_left_is_settled(engine: EngineHarness, hold: dict[str, timedelta], held: int) -> None:
    batch = await leave_runs(engine, 2)
    settler = Rescuer(engine.worker, hold)
    await settler.round()
    item = await engine.store.item(batch, 0)
    assert item.last is not None
    assert (item.state, item.last.code) == (ItemState.failed, "outcome_unknown")
    assert (await engine.store.batch(batch)).counts.waiting == 1
    assert await slots(engine) == held
    await settler.round()
    assert (await engine.store.batch(batch)).counts.failed == 2
    engine.clock.advance(601)
    await engine.store.sweep_leftovers()
    assert await slots(engine) == 0
