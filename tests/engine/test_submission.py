"""Filling a batch, and being cancelled on the way."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from covey.domain.batch import NewItem
from covey.domain.errors import NotFound
from covey.engine.submission import Submission, settled

from ..clock import ManualClock
from ..patience import PATIENCE
from .conftest import ANY, LANE, EngineHarness


class HeldClock(ManualClock):
    """While it is `armed`, the database's thread stops where it asks for the time: within an operation."""

    def __init__(self) -> None:
        super().__init__()
        self.armed = False
        self.reached, self.go_on = threading.Event(), threading.Event()

    def now(self) -> datetime:
        if self.armed and threading.current_thread().name == "covey-writer":
            self.armed = False
            self.reached.set()
            assert self.go_on.wait(PATIENCE)
        return super().now()


async def some(items: int) -> AsyncIterator[list[NewItem]]:
    yield [NewItem(b"{}") for _ in range(items)]


async def test_who_is_cancelled_while_a_batch_is_accepted_learns_that_it_was(engine: EngineHarness) -> None:
    clock = HeldClock()
    engine.store.clock = clock
    submission, new = Submission(engine.store, engine.wakeups, engine.worker.id), engine.new()

    async def pieces() -> AsyncIterator[list[NewItem]]:
        yield [NewItem(b"{}")]
        clock.armed = True

    engine.wakeups.lane(LANE).clear()
    submitting = asyncio.create_task(submission.submit(new, pieces(), ANY))
    await asyncio.to_thread(clock.reached.wait, 10)
    for _ in range(3):
        submitting.cancel()
        await asyncio.sleep(0)
    assert not submitting.done()
    clock.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await submitting
    assert (await engine.store.batch(new.id)).counts.total == 1
    assert engine.wakeups.lane(LANE).is_set()


async def test_who_is_cancelled_before_leaves_nothing(engine: EngineHarness) -> None:
    submission, new = Submission(engine.store, engine.wakeups, engine.worker.id), engine.new()
    never = asyncio.Event()

    async def pieces() -> AsyncIterator[list[NewItem]]:
        yield [NewItem(b"{}")]
        await never.wait()

    submitting = asyncio.create_task(submission.submit(new, pieces(), ANY))
    await asyncio.sleep(0)
    submitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submitting
    with pytest.raises(NotFound):
        await engine.store.batch(new.id)
    while new.id not in await engine.store.sweep_erased():
        pass


async def test_a_settled_step_tells_what_it_came_to(engine: EngineHarness) -> None:
    async def fails() -> None:
        raise NotFound

    with pytest.raises(NotFound):
        await settled(fails())
    assert await settled(asyncio.sleep(0, "done")) == "done"
    batch = await Submission(engine.store, engine.wakeups, engine.worker.id).submit(engine.new(), some(2), ANY)
    assert batch.counts.total == 2
