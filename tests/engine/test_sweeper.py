"""The sweeper and files: a batch's rows stay as long as its files do, whatever becomes of the sweeper."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from covey.domain.batch import BatchState, StopReason
from covey.engine import sweeper
from covey.engine.sweeper import FILES_AGAIN_SECONDS, Sweeper

from .conftest import EngineHarness


class Bucket:
    """Where files lie. It says how many rows a batch had when its files went."""

    def __init__(self, engine: EngineHarness) -> None:
        self.broken: set[str] = set()
        self.hangs: asyncio.Event | None = None
        self.asked: list[str] = []
        self.rows: list[int] = []
        self._house = engine

    async def forget(self, batch: str) -> None:
        self.asked.append(batch)
        if self.hangs is not None:
            await self.hangs.wait()
        if batch in self.broken:
            raise OSError("the bucket does not answer")
        self.rows.append(await rows(self._house, batch))


async def rows(engine: EngineHarness, batch: str) -> int:
    """How many rows a batch has: its own and its items'."""
    asked = (
        "SELECT (SELECT count(*) FROM batches WHERE id = :batch) + (SELECT count(*) FROM items WHERE batch = :batch)"
    )
    found = await engine.store.writer.run(
        lambda database: database.connection.execute(asked, {"batch": bytes.fromhex(batch)}).fetchone()
    )
    assert found is not None
    return int(found[0])


async def erased(engine: EngineHarness, items: int = 1) -> str:
    """A batch that was deleted."""
    batch = await engine.submit(items)
    await engine.store.stop("w", batch, StopReason.cancel)
    await engine.store.erase_batch("w", batch)
    engine.clock.advance(0.001)
    return batch


def made(engine: EngineHarness, forget: Callable[[str], Awaitable[None]]) -> Sweeper:
    return Sweeper(engine.store, engine.clock, engine.wakeups, engine.worker.id, None, forget)


async def test_files_go_before_any_row_does(engine: EngineHarness) -> None:
    batch = await erased(engine, items=7)
    bucket = Bucket(engine)
    await made(engine, bucket.forget).round()
    assert (bucket.asked, bucket.rows) == ([batch], [8])
    assert await rows(engine, batch) == 0


async def test_a_batch_whose_files_cannot_be_removed_keeps_its_rows_and_others_go(engine: EngineHarness) -> None:
    first, second, third = [await erased(engine, items=2) for _ in range(3)]
    bucket = Bucket(engine)
    bucket.broken = {first}
    sweep = made(engine, bucket.forget)
    for _ in range(3):
        await sweep.round()
    assert bucket.asked == [first, second, third]
    assert [await rows(engine, batch) for batch in (first, second, third)] == [3, 0, 0]
    bucket.broken.clear()
    await sweep.round()
    engine.clock.advance(FILES_AGAIN_SECONDS)
    for _ in range(2):
        await sweep.round()
    assert bucket.asked == [first, second, third, first]
    assert await rows(engine, first) == 0


async def test_a_bucket_that_is_away_is_asked_for_a_batch_once_a_minute_and_logged_once(engine: EngineHarness) -> None:
    batches = [await erased(engine) for _ in range(3)]
    bucket = Bucket(engine)
    bucket.broken = set(batches)
    sweep = made(engine, bucket.forget)
    with capture_logs() as logged:
        for _ in range(180):
            await sweep.round()
            engine.clock.advance(1)
    assert [bucket.asked.count(batch) for batch in batches] == [3, 3, 3]
    told = [line["event"] for line in logged]
    assert told == ["erased_files_not_removed"] * 3
    assert [await rows(engine, batch) for batch in batches] == [2, 2, 2]


async def test_the_next_process_asks_again_when_one_was_killed_before_the_rows_went(engine: EngineHarness) -> None:
    batch = await erased(engine)
    bucket = Bucket(engine)

    async def killed(batch: str) -> None:
        await bucket.forget(batch)
        dying.cancel()

    dying = asyncio.create_task(made(engine, killed).round())
    with pytest.raises(asyncio.CancelledError):
        await dying
    assert await rows(engine, batch) == 2
    await made(engine, bucket.forget).round()
    assert bucket.asked == [batch, batch]
    assert await rows(engine, batch) == 0


async def test_a_bucket_that_hangs_keeps_nothing_from_expiring(
    engine: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "FILES_SECONDS", 0.01)
    batch = await erased(engine)
    expiring = await engine.submit(1, expires_at=engine.clock.now() + timedelta(seconds=5))
    bucket = Bucket(engine)
    bucket.hangs = asyncio.Event()
    sweep = made(engine, bucket.forget)
    await sweep.round()
    engine.clock.advance(5)
    await sweep.round()
    assert (await engine.store.batch(expiring)).state is BatchState.expired
    assert (bucket.asked, await rows(engine, batch)) == ([batch], 2)
    bucket.hangs.set()
    monkeypatch.setattr(sweeper, "FILES_SECONDS", 10.0)
    await sweep.round()
    assert (bucket.asked, await rows(engine, batch)) == ([batch], 0)


async def test_a_stop_ends_what_hangs(engine: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "FILES_SECONDS", 0.01)
    batch = await erased(engine)
    ended = asyncio.Event()

    async def hang(_: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    sweep = made(engine, hang)
    await sweep.round()
    await sweep.stop()
    assert ended.is_set()
    assert await rows(engine, batch) == 2
