"""A worker that the others gave up, and that lives all the same."""

import asyncio

from covey.domain.run import Succeeded
from tests.patience import patience

from .conftest import LANE, House


async def test_it_says_so_and_claims_no_more_but_ends_what_it_has(house: House) -> None:
    batch = await house.submit(1)
    house.worker.start()
    await house.desk.lying(1)
    await house.another().enlist()
    assert not house.worker.given_up.is_set()
    house.hints.work(LANE)
    async with patience():
        await house.worker.given_up.wait()
    assert not house.dispatcher.claiming
    house.desk.answer(0, Succeeded("good"))
    await house.worker.drain(10, asyncio.Event())
    await house.worker.stop()
    assert (await house.store.batch(batch)).counts.succeeded == 1
