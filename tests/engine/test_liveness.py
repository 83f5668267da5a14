"""The loop that settles what dead workers left."""

from datetime import timedelta

import pytest

from covey.domain.item import ItemState
from covey.engine.rescuer import Rescuer

from .conftest import LANE, House


async def leave_runs(house: House, items: int) -> str:
    """A batch whose first items are in the hands of a worker that is gone."""
    batch = await house.submit(items + 1)
    await house.store.enlist("gone")
    claim = await house.store.claim("gone", LANE, items)
    assert claim.bite is not None
    assert len(claim.bite.runs) == items
    return batch


async def slots(house: House) -> int:
    status = await house.store.lane(LANE)
    assert status is not None
    return status.active


@pytest.mark.parametrize(("hold", "held"), [({}, 0), ({LANE: timedelta(seconds=600)}, 2)])
async def test_what_a_dead_worker_left_is_settled(house: House, hold: dict[str, timedelta], held: int) -> None:
    batch = await leave_runs(house, 2)
    settler = Rescuer(house.worker, hold)
    await settler.round()
    item = await house.store.item(batch, 0)
    assert item.last is not None
    assert (item.state, item.last.code) == (ItemState.failed, "outcome_unknown")
    assert (await house.store.batch(batch)).counts.waiting == 1
    assert await slots(house) == held
    await settler.round()
    assert (await house.store.batch(batch)).counts.failed == 2
    house.clock.advance(601)
    await house.store.sweep_leftovers()
    assert await slots(house) == 0
