"""Which refs of a new list are in other batches, too: which batches count, and that the look ends when it is to."""

import asyncio
from datetime import timedelta

from .conftest import Scene, refs

DAY = timedelta(hours=24)
PATIENT = 600.0


async def found(scene: Scene, *names: str, workspace: str = "w", lane: str = "lane") -> dict[str, str]:
    return await scene.store.refs_elsewhere(workspace, lane, names, scene.now - DAY, PATIENT)


async def test_batches_that_have_not_ended_count_and_those_of_the_last_day(scene: Scene) -> None:
    open_one = await scene.submit(refs("a", "b", "b", None))
    assert await found(scene, "a", "b", "c") == {"a": open_one, "b": open_one}
    assert await found(scene, "c") == {}
    assert await found(scene, "a", workspace="other") == {}
    assert await found(scene, "a", lane="other") == {}

    scene.clock.advance(10 * 24 * 3600)
    assert await found(scene, "a") == {"a": open_one}, "it has not ended"
    ended = await scene.submit(refs("c", "d"))
    for batch in (open_one, ended):
        await scene.stop(batch)
    assert await found(scene, "a", "c") == {"c": ended}, "it ended within a day"
    scene.clock.advance(24 * 3600 + 1)
    assert await found(scene, "a", "c") == {}


async def test_a_list_that_waits_for_its_start_counts_and_a_draft_does_not(scene: Scene) -> None:
    waits = await scene.submit(refs("a"), start_at=scene.after(7 * 24 * 3600), origin="single")
    draft = scene.new()
    await scene.store.draft(draft, "worker-1")
    await scene.store.append(draft.id, 0, refs("b"))
    scene.clock.advance(2 * 24 * 3600)
    assert await found(scene, "a", "b") == {"a": waits}
    await scene.stop(waits)
    await scene.store.erase_batch("w", waits)
    assert await found(scene, "a", "b") == {}


async def test_a_look_ends_when_its_time_is_over_and_nobody_else_minds(scene: Scene) -> None:
    """However much there is to compare: the statement itself is ended, and its connection serves on."""
    batch = await scene.submit(refs("a", *(None,) * 5000))
    many = [f"ref {n}" for n in range(20_000)]
    looks = (scene.store.refs_elsewhere("w", "lane", many, scene.now - DAY, 0.001) for _ in range(4))
    ended = await asyncio.gather(*looks, return_exceptions=True)
    assert [str(one) for one in ended] == ["a statement took longer than it may"] * 4
    read = await asyncio.gather(*(scene.store.items(batch, limit=5000) for _ in range(8)))
    assert [len(items) for _, items in read] == [5000] * 8
    assert await found(scene, "a") == {"a": batch}
