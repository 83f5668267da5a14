"""The list of workers, as people look at it."""

from covey.domain.run import Succeeded

from .conftest import WORKER, Scene


async def test_a_worker_is_alive_with_what_it_has_in_hand(scene: Scene) -> None:
    before = await scene.store.workers()
    assert [(one.id, one.alive, one.active, one.dead_at) for one in before] == [(WORKER, True, 0, None)]
    await scene.submit(3)
    portion = await scene.take(2)
    assert [one.active for one in await scene.store.workers()] == [2]
    await scene.finish(portion, Succeeded("good"), seqs=[0])
    assert [one.active for one in await scene.store.workers()] == [1]


async def test_who_has_ended_is_listed_after_the_living(scene: Scene) -> None:
    await scene.store.retire(WORKER)
    await scene.store.enlist("next")
    alive, ended = await scene.store.workers()
    assert (alive.id, alive.alive, alive.dead_at) == ("next", True, None)
    assert (ended.id, ended.alive, ended.dead_at is None) == (WORKER, False, False)
    assert ended.started_at <= alive.started_at
