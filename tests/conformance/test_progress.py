"""How far active runs say they are: written by whom they are in hand of, read by everybody."""

from covey.domain.item import Item
from covey.domain.run import NOT_STARTED, Failed, Outcome, Progress, Retry, Returned, Succeeded

from .conftest import WORKER, Scene, refs

RETURNED = Returned(NOT_STARTED)


async def only(scene: Scene, batch: str) -> Item:
    """The batch's one item."""
    _, (item,) = await scene.store.items(batch)
    return item


async def test_readers_see_what_was_said_last(scene: Scene) -> None:
    batch = await scene.submit(refs("+1", None))
    await scene.take()
    assert (await only(scene, await scene.submit(1))).progress is None
    await scene.store.advance(WORKER, [Progress(batch, 0, 1, 12.5, 60.0), Progress(batch, 1, 1, 1.0, 2.0)])
    await scene.store.advance(WORKER, [Progress(batch, 0, 1, 13.5, 60.0)])
    _, items = await scene.store.items(batch)
    assert [item.progress for item in items] == [(13.5, 60.0), (1.0, 2.0)]
    assert (await scene.store.item(batch, 0)).progress == (13.5, 60.0)
    (found,) = await scene.store.by_ref("w", "+1")
    assert found.progress == (13.5, 60.0)


async def test_what_is_not_in_the_workers_hands_stays_as_it_is(scene: Scene) -> None:
    batch = await scene.submit(1)
    await scene.take()
    await scene.store.enlist("another")
    await scene.store.advance("another", [Progress(batch, 0, 1, 1.0, 2.0)])
    await scene.store.advance(WORKER, [Progress(batch, 0, 2, 1.0, 2.0), Progress(batch, 7, 1, 1.0, 2.0)])
    assert (await only(scene, batch)).progress is None


async def test_a_new_run_of_an_item_begins_anew(scene: Scene) -> None:
    batch = await scene.submit(1, max_tries=5)
    outcomes: tuple[Outcome, ...] = (RETURNED, Retry(scene.now, Failed("busy", "")), Succeeded("ok"))
    for attempt, outcome in enumerate(outcomes, 1):
        portion = await scene.take()
        assert (await only(scene, batch)).progress is None
        await scene.store.advance(WORKER, [Progress(batch, 0, attempt, 1.0, 2.0)])
        assert (await only(scene, batch)).progress == (1.0, 2.0)
        await scene.finish(portion, outcome)
        assert (await only(scene, batch)).progress is None
        scene.clock.advance(10)
