"""The breaker of a lane: opened by five different items alike or a silent far side, closed by a success."""

import pytest

from covey.domain.batch import BatchState
from covey.domain.item import ItemState
from covey.domain.lane import Lane, LaneStatus
from covey.domain.run import NOT_STARTED, Blame, Failed, Outcome, Retry, Returned, Succeeded

from .conftest import WORKER, Scene, seqs

DOWN = Failed("far_side_error", "503", blame=Blame.either)
OTHER = Failed("other_error", "500", blame=Blame.either)
GIVEN_BACK = Returned("far_side_error", blame=Blame.either)


async def lane(scene: Scene) -> LaneStatus:
    status = await scene.store.lane("lane")
    assert status is not None
    return status


async def opened(scene: Scene, items: int = 50) -> str:
    """A batch whose first five items opened the breaker; nothing of it is active."""
    batch = await scene.submit(items)
    for _ in range(5):
        await scene.one(DOWN)
    return batch


async def probe(scene: Scene, outcome: Outcome) -> None:
    """Wait until the breaker is half open, and let its probe come to `outcome`."""
    until = (await lane(scene)).open_until
    assert until is not None
    scene.clock.advance((until - scene.now).total_seconds())
    await scene.one(outcome)


@pytest.mark.parametrize("outcome", [DOWN, GIVEN_BACK])
async def test_five_different_items_alike_open_it(scene: Scene, outcome: Outcome) -> None:
    await scene.submit(50)
    portion = await scene.take(10)
    await scene.finish(portion, outcome, seqs=range(4))
    assert (await lane(scene)).open_until is None
    await scene.finish(portion, outcome, seqs=[4])
    status = await lane(scene)
    assert (status.open_until, status.open_reason, status.open_since) == (
        scene.after(1),
        "far_side_error",
        scene.now,
    )
    claim = await scene.store.claim(WORKER, "lane", 50)
    assert (claim.portion, claim.again_at) == (None, status.open_until)


async def test_a_retry_tells_as_much_as_what_it_stands_for(scene: Scene) -> None:
    await scene.submit(50, max_tries=3)
    portion = await scene.take(5)
    await scene.finish(portion, Retry(scene.after(60), DOWN))
    assert (await lane(scene)).open_until is not None


async def test_one_item_never_opens_it(scene: Scene) -> None:
    await scene.submit(1, max_tries=50)
    for _ in range(20):
        await scene.one(Retry(scene.now, DOWN))
    assert (await lane(scene)).open_until is None


async def test_different_failures_do_not_open_it(scene: Scene) -> None:
    await scene.submit(50)
    portion = await scene.take(20)
    for seq in range(20):
        await scene.finish(portion, (DOWN, OTHER)[seq % 2], seqs=[seq])
    assert (await lane(scene)).open_until is None


@pytest.mark.parametrize("proof", [Succeeded("good"), Failed("busy", "", blame=Blame.item)])
async def test_a_success_between_starts_the_count_anew(scene: Scene, proof: Outcome) -> None:
    await scene.submit(50)
    portion = await scene.take(20)
    await scene.finish(portion, DOWN, seqs=range(4))
    await scene.finish(portion, proof, seqs=[4])
    await scene.finish(portion, DOWN, seqs=range(5, 9))
    assert (await lane(scene)).open_until is None


@pytest.mark.parametrize("silence", [Returned(NOT_STARTED), Failed("internal_error", "", blame=Blame.nothing)])
async def test_what_blames_nothing_changes_nothing(scene: Scene, silence: Outcome) -> None:
    await scene.submit(50)
    portion = await scene.take(20)
    await scene.finish(portion, DOWN, seqs=range(4))
    await scene.finish(portion, silence, seqs=[4])
    assert (await lane(scene)).open_until is None
    await scene.finish(portion, DOWN, seqs=[5])
    assert (await lane(scene)).open_until is not None


async def test_half_open_lets_one_item_try_and_a_success_closes_it(scene: Scene) -> None:
    await opened(scene)
    assert await scene.claim() is None
    scene.clock.advance(1)
    portion = await scene.take(50)
    assert len(portion.runs) == 1
    assert await scene.claim() is None
    await scene.finish(portion, Succeeded("good"))
    assert (await lane(scene)).open_until is None
    assert (await lane(scene)).open_reason is None
    assert len(seqs(await scene.claim())) > 1


async def test_each_failed_probe_keeps_it_open_for_longer(scene: Scene) -> None:
    await opened(scene)
    waits = []
    for _ in range(3):
        await probe(scene, DOWN)
        until = (await lane(scene)).open_until
        assert until is not None
        waits.append((until - scene.now).total_seconds())
    assert waits == [2, 4, 8]


async def test_a_probe_that_never_started_leaves_its_place_to_another(scene: Scene) -> None:
    await opened(scene)
    await probe(scene, Returned(NOT_STARTED))
    assert len(seqs(await scene.claim())) == 1


async def test_a_probe_that_says_nothing_for_a_minute_leaves_its_place_to_another(scene: Scene) -> None:
    await opened(scene)
    scene.clock.advance(1)
    await scene.take()
    scene.clock.advance(59)
    assert await scene.claim() is None
    scene.clock.advance(1)
    assert len(seqs(await scene.claim())) == 1


async def test_what_was_under_way_closes_it_too(scene: Scene) -> None:
    await scene.submit(50)
    portion = await scene.take(6)
    await scene.finish(portion, DOWN, seqs=range(5))
    await scene.finish(portion, Succeeded("good"), seqs=[5])
    assert (await lane(scene)).open_until is None


async def test_hopeless_probes_pause_the_batch_and_say_why(scene: Scene) -> None:
    batch = await opened(scene)
    for _ in range(4):
        assert (await scene.store.batch(batch)).paused_at is None
        await probe(scene, DOWN)
    paused = await scene.store.batch(batch)
    assert (paused.state, paused.pause_reason) == (BatchState.paused, "failing:far_side_error")
    assert paused.counts.failed == 9


async def test_a_batch_that_is_not_self_pausing_goes_on_to_its_end(scene: Scene) -> None:
    batch = await scene.submit(60, self_pausing=False)
    while (await scene.store.batch(batch)).completed_at is None:
        await scene.finish(await scene.take(10), Failed("unreadable", "It cannot be read"))
        assert (await scene.store.batch(batch)).paused_at is None
    assert (await scene.store.batch(batch)).counts.failed == 60


async def test_hopeless_probes_pause_no_batch_but_their_own(scene: Scene) -> None:
    bystander = await scene.submit(5, workspace="other")
    beside = await scene.take(1)
    await scene.store.pause("other", bystander, "p")
    batch = await opened(scene)
    for _ in range(3):
        await probe(scene, DOWN)
    await scene.store.resume("other", bystander)
    await scene.store.pause("other", bystander, "p")
    until = (await lane(scene)).open_until
    assert until is not None
    scene.clock.advance((until - scene.now).total_seconds())
    last = await scene.take(1)
    await scene.finish(last, DOWN)
    await scene.store.resume("other", bystander)
    await scene.finish(beside, DOWN)
    assert (await scene.store.batch(batch)).paused_at is not None
    assert (await scene.store.batch(bystander)).paused_at is None


async def test_a_dead_lane_burns_no_returned_item(scene: Scene) -> None:
    batch = await scene.submit(8)
    for _ in range(5):
        await scene.one(GIVEN_BACK)
    for _ in range(3):
        await probe(scene, GIVEN_BACK)
    assert (await scene.counts(batch)).failed == 0
    await scene.store.close_lane("lane")
    scene.clock.advance(60)
    while (portion := await scene.claim()) is not None:
        await scene.finish(portion)
        scene.clock.advance(60)
    assert (await scene.store.item(batch, 0)).state is ItemState.succeeded


async def test_a_silent_far_side_holds_the_lane_until_it_answers(scene: Scene) -> None:
    await scene.submit(5)
    await scene.store.open_lane("lane", scene.after(12), "silent")
    assert await scene.claim() is None
    scene.clock.advance(5)
    await scene.store.open_lane("lane", scene.after(12), "silent")
    status = await lane(scene)
    assert (status.open_reason, status.open_since) == ("silent", scene.after(-5))
    await scene.store.close_lane("lane")
    assert len(seqs(await scene.claim())) == 5


async def test_lanes_are_listed_with_their_limits(scene: Scene) -> None:
    await scene.store.put_lane(Lane("a", 3, 1.5))
    assert [(one.name, one.cap, one.pace) for one in await scene.store.lanes()] == [
        ("a", 3, 1.5),
        ("lane", 100, None),
    ]
    assert await scene.store.lane("none") is None


async def test_a_clock_that_is_set_back_keeps_no_lane_closed(scene: Scene) -> None:
    await scene.submit(2)
    await scene.store.open_lane("lane", scene.after(30), "silent")
    assert await scene.claim() is None
    scene.clock.advance(-3600)
    assert seqs(await scene.claim()) == [0], "one probe"
    assert await scene.claim() is None
