"""A worker that the others gave up, and that lives all the same."""

import asyncio

from covey.domain.run import Succeeded
from tests.patience import patience

from .conftest import LANE, EngineHarness


async def test_it_says_so_and_claims_no_more_but_ends_what_it_has(engine: EngineHarness) -> None:
    batch = await engine.submit(1)
    engine.worker.start()
    await engine.runner.lying(1)
    await engine.another().enlist()
    assert not engine.worker.evicted.is_set()
    engine.wakeups.work(LANE)
    async with patience():
        await engine.worker.evicted.wait()
    assert not engine.dispatcher.claiming
    engine.runner.answer(0, Succeeded("good"))
    await engine.worker.drain(10, asyncio.Event())
    await engine.worker.stop()
    assert (await engine.store.batch(batch)).counts.succeeded == 1
