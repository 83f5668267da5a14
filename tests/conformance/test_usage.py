"""Usage adds up with the runs, whatever happened to them."""

from datetime import date, timedelta

import pytest

from covey.domain.errors import NotFound
from covey.domain.item import ItemState
from covey.domain.run import Aborted, Failed, Retry, Succeeded
from covey.domain.usage import Prices, UsageLine

from .conftest import Scene

EVER = (date(1990, 1, 1), date(2200, 1, 1))
GOOD = Succeeded("good", {}, 1.5, 10, 3)
PRICES = Prices(second=2)


async def used(scene: Scene, batch: str | None = None) -> list[UsageLine]:
    """The lines of workspace `w`, those of one batch or all."""
    lines = await scene.store.usage("w", *EVER, day=True, batch=True, key=True)
    return [line for line in lines if batch in (None, line.batch)]


async def test_only_what_succeeded_is_used(scene: Scene) -> None:
    batch = await scene.submit(6, prices=PRICES, max_tries=2, actor="key-1")
    portion = await scene.take(5)
    await scene.finish(portion, GOOD, seqs=[0, 1])
    await scene.finish(portion, Failed("bad", ""), seqs=[2])
    await scene.finish(portion, Aborted("aborted"), seqs=[3])
    await scene.finish(portion, Retry(scene.now, Failed("busy", "")), seqs=[4])
    assert await scene.finish(portion, GOOD, seqs=[0]) is not None
    await scene.one(GOOD)
    await scene.stop(batch)
    assert await used(scene) == [UsageLine("kind", scene.now.date(), batch, "key-1", 3, 4.5, 30, 9, 9)]
    _, items = await scene.store.items(batch, limit=10)
    done = [item.last for item in items if item.state is ItemState.succeeded and item.last]
    assert (len(done), sum(one.seconds for one in done)) == (3, 4.5)


async def test_usage_is_by_the_day_on_which_it_was_written(scene: Scene) -> None:
    batch = await scene.submit(3)
    first = scene.now.date()
    await scene.one(GOOD)
    scene.clock.advance(timedelta(days=2).total_seconds())
    await scene.one(GOOD)
    await scene.one(GOOD)
    assert [(line.day, line.items) for line in await used(scene)] == [(first, 1), (first + timedelta(days=2), 2)]
    for since, until, items in (
        (first, first, [1]),
        (first, first + timedelta(days=2), [3]),
        (first + timedelta(days=1), first + timedelta(days=1), []),
        (first + timedelta(days=2), first + timedelta(days=9), [2]),
    ):
        assert [line.items for line in await scene.store.usage("w", since, until)] == items
    assert (await scene.counts(batch)).spent == 0


async def test_usage_is_summed_over_what_is_not_asked_apart(scene: Scene) -> None:
    for kind, actor in (("call", "a"), ("call", "b"), ("video", "a")):
        await scene.submit(2, kind=kind, actor=actor)
    await scene.submit(1, workspace="other")
    for _ in range(4):
        await scene.finish(await scene.take(2), GOOD)
    lines = await scene.store.usage("w", *EVER)
    assert [(line.kind, line.items, line.day, line.batch, line.key) for line in lines] == [
        ("call", 4, None, None, None),
        ("video", 2, None, None, None),
    ]
    by_key = await scene.store.usage("w", *EVER, key=True)
    assert [(line.key, line.kind, line.items) for line in by_key] == [
        ("a", "call", 2), ("a", "video", 2), ("b", "call", 2),
    ]  # fmt: skip
    assert [line.items for line in await scene.store.usage("w", *EVER, batch=True)] == [2, 2, 2]
    assert [line.items for line in await scene.store.usage("other", *EVER)] == [1]


@pytest.mark.parametrize("repeatable", [False, True])
async def test_a_lost_run_is_used_once_whenever_its_truth_comes(scene: Scene, *, repeatable: bool) -> None:
    batch = await scene.submit(1, prices=PRICES, repeatable=repeatable)
    await scene.store.enlist("slow")
    portion = await scene.take(worker="slow")
    await scene.bury("slow")
    while await scene.store.settle("slow", {}):
        pass
    assert await used(scene) == []
    if repeatable:
        await scene.one(GOOD)
    for _ in range(2):
        await scene.finish(portion, GOOD, worker="slow")
    assert [(line.items, line.seconds, line.tokens_in, line.cost) for line in await used(scene)] == [(1, 1.5, 10, 3)]
    assert (await scene.counts(batch)).spent == 3


async def test_a_lost_run_that_failed_after_all_is_not_used(scene: Scene) -> None:
    await scene.submit(1)
    await scene.store.enlist("slow")
    portion = await scene.take(worker="slow")
    await scene.bury("slow")
    while await scene.store.settle("slow", {}):
        pass
    await scene.finish(portion, Failed("bad", ""), worker="slow")
    assert await used(scene) == []


async def test_usage_stays_when_its_batch_is_gone(scene: Scene) -> None:
    batch = await scene.submit(1)
    await scene.one(GOOD)
    await scene.store.erase_batch("w", batch)
    while batch not in await scene.store.sweep_erased():
        pass
    with pytest.raises(NotFound):
        await scene.store.batch(batch)
    assert [line.batch for line in await used(scene)] == [batch]
