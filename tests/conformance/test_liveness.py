"""Workers: whose runs are in whose hands, and what becomes of those of the dead."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from covey.domain.batch import BatchState, StopReason
from covey.domain.item import ItemState
from covey.domain.run import Succeeded

from .conftest import WORKER, Scene, numbers, refs, seqs


@pytest.fixture(autouse=True)
async def two_lives(scene: Scene) -> None:
    """A worker beside the test's own, which will die."""
    await scene.store.enlist("doomed")


async def die(scene: Scene, hold: float | None = None) -> None:
    """The other worker dies and is settled."""
    await scene.bury("doomed")
    while await scene.store.settle("doomed", {} if hold is None else {"lane": timedelta(seconds=hold)}):
        pass


async def active(scene: Scene) -> int:
    """The slots taken on the lane."""
    status = await scene.store.lane("lane")
    assert status is not None
    return status.active


async def test_what_is_in_a_workers_hands(scene: Scene) -> None:
    batch = await scene.submit(4)
    await scene.take(1)
    await scene.take(2, worker="doomed")
    assert await scene.store.in_hand(WORKER) == [(batch, 0, 1)]
    assert sorted(await scene.store.in_hand("doomed")) == [(batch, 1, 1), (batch, 2, 1)]
    assert await scene.store.in_hand("nobody") == []


async def test_a_retired_worker_leaves_nothing_to_settle(scene: Scene) -> None:
    await scene.store.retire("doomed")
    assert await scene.store.dead_workers(WORKER) == []


async def test_a_dead_worker_is_named_until_all_is_settled_and_never_oneself(scene: Scene) -> None:
    await scene.submit(2)
    await scene.take(worker="doomed")
    await scene.bury("doomed")
    assert await scene.store.dead_workers(WORKER) == ["doomed"]
    assert await scene.store.settle("doomed", {}) == 0
    assert await scene.store.dead_workers(WORKER) == []
    assert await scene.store.in_hand("doomed") == []


async def test_lost_runs_that_may_not_be_repeated_fail_as_unknown(scene: Scene) -> None:
    batch = await scene.submit(2, max_tries=5)
    await scene.take(1, worker="doomed")
    await die(scene)
    item = await scene.store.item(batch, 0)
    assert item.last is not None
    assert (item.state, item.last.code, item.tries) == (ItemState.failed, "outcome_unknown", 1)
    assert seqs(await scene.claim()) == [1]
    assert numbers(await scene.counts(batch)) == (0, 1, 0, 1, 0)


async def test_lost_runs_that_may_be_repeated_are_and_the_third_time_fail(scene: Scene) -> None:
    batch = await scene.submit(1, repeatable=True)
    for n in range(3):
        worker = f"life-{n}"
        await scene.store.enlist(worker)
        assert (await scene.take(worker=worker)).runs[0].tries == 0
        await scene.bury(worker)
        assert await scene.store.settle(worker, {}) == 0
    item = await scene.store.item(batch, 0)
    assert item.last is not None
    assert (item.state, item.last.code, len(item.earlier)) == (ItemState.failed, "worker_lost", 2)
    assert (await scene.store.batch(batch)).state is BatchState.completed


@pytest.mark.parametrize("abort", [False, True])
@pytest.mark.parametrize(
    ("repeatable", "expected"), [(False, (0, 0, 0, 1, 2)), (True, (0, 0, 0, 0, 3))], ids=["once", "repeatable"]
)
async def test_lost_runs_of_a_stopped_batch(
    scene: Scene, *, repeatable: bool, expected: Sequence[int], abort: bool
) -> None:
    batch = await scene.submit(3, repeatable=repeatable)
    await scene.take(1, worker="doomed")
    await scene.stop(batch, abort=abort)
    await die(scene)
    done = await scene.store.batch(batch)
    assert (done.state, numbers(done.counts)) == (BatchState.canceled, expected)


async def test_settling_goes_in_pieces(scene: Scene) -> None:
    batch = await scene.submit(100)
    other = await scene.submit(30, workspace="other")
    while await scene.claim(worker="doomed"):
        pass
    assert await active(scene) == 100
    await die(scene)
    assert await active(scene) == 0
    done = [await scene.counts(batch), await scene.counts(other)]
    assert sum(counts.failed for counts in done) == 100


async def test_a_crash_with_many_runs_in_hand_pauses_no_batch(scene: Scene) -> None:
    batch = await scene.submit(100)
    await scene.take(60, worker="doomed")
    await die(scene)
    portion = await scene.take(1)
    await scene.finish(portion, Succeeded("good"))
    assert (await scene.store.batch(batch)).state is BatchState.running
    assert len(seqs(await scene.claim())) > 0


async def test_a_settled_run_holds_its_slot_and_its_ref_until_its_time(scene: Scene) -> None:
    batch = await scene.submit(refs("a", "b"), exclusive=True)
    await scene.take(1, worker="doomed")
    await die(scene, hold=600)
    assert await active(scene) == 1
    waits = await scene.submit(refs("a"), exclusive=True)
    assert {one.batch for one in [await scene.claim(), await scene.claim()] if one} == {batch}
    assert (await scene.store.item(waits, 0)).reason == "ref_active"

    scene.clock.advance(599)
    await scene.store.sweep_leftovers()
    assert await scene.claim() is None
    scene.clock.advance(2)
    assert await scene.store.sweep_leftovers() > 0
    assert await active(scene) == 1
    assert (await scene.take()).batch == waits


async def test_a_held_slot_is_freed_by_the_truth(scene: Scene) -> None:
    await scene.submit(refs("a"), exclusive=True)
    portion = await scene.take(worker="doomed")
    await die(scene, hold=600)
    await scene.finish(portion, Succeeded("good"), worker="doomed")
    assert await active(scene) == 0
    await scene.submit(refs("a"), exclusive=True)
    assert await scene.claim() is not None


async def test_repeatable_runs_hold_nothing(scene: Scene) -> None:
    await scene.submit(2, repeatable=True)
    await scene.take(worker="doomed")
    await die(scene, hold=600)
    assert await active(scene) == 0
    assert seqs(await scene.claim()) == [0, 1]


@pytest.mark.parametrize("hold", [None, 600])
async def test_a_batch_at_its_own_cap_goes_on_after_its_worker_died(scene: Scene, hold: float | None) -> None:
    await scene.submit(5, cap=2)
    await scene.take(worker="doomed")
    await die(scene, hold=hold)
    assert seqs(await scene.claim()) == [2, 3]


async def test_settling_the_last_run_ends_the_batch(scene: Scene) -> None:
    batch = await scene.submit(1)
    await scene.take(worker="doomed")
    await scene.store.stop("w", batch, StopReason.expire)
    await die(scene, hold=600)
    assert (await scene.store.batch(batch)).state is BatchState.expired


async def test_settling_twice_changes_nothing(scene: Scene) -> None:
    batch = await scene.submit(3)
    await scene.take(2, worker="doomed")
    await die(scene)
    before = await scene.counts(batch)
    assert await scene.store.settle("doomed", {}) == 0
    assert await scene.counts(batch) == before
