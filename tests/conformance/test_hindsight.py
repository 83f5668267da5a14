"""Histories that a review found: each one broke a promise before the rule that it tests."""

from collections import Counter
from datetime import timedelta

import pytest

from covey.domain.batch import BatchState, Quota, StopReason
from covey.domain.errors import Conflict
from covey.domain.item import ItemState
from covey.domain.lane import BREAKER_ANSWERS, START_LEAD, START_SLACK, Lane
from covey.domain.run import Blame, ClaimedRuns, Failed, Retry, Returned, Succeeded

from .conftest import Scene, numbers, refs

DOWN = Returned("trunk_unavailable", "503", Blame.either)


async def test_a_dead_lane_burns_no_item_of_a_small_batch(scene: Scene) -> None:
    batch = await scene.submit(3)
    for _ in range(60):
        portion = await scene.claim()
        if portion is not None:
            await scene.finish(portion, DOWN)
        scene.clock.advance(3)
    assert numbers(await scene.counts(batch)) == (3, 0, 0, 0, 0)
    assert (await scene.store.batch(batch)).state is BatchState.paused
    lane = await scene.store.lane("lane")
    assert lane is not None
    assert lane.open_reason == "trunk_unavailable"


async def test_one_bad_item_fails_while_its_lane_works_for_others(scene: Scene) -> None:
    await scene.submit(1)
    await scene.one(Succeeded("done"))
    bad = await scene.submit(1)
    for n in range(3):
        await scene.finish(await scene.take(1), DOWN)
        scene.clock.advance(1)
        good = await scene.submit(1)
        await scene.finish(await scene.take(1), Succeeded("done"))
        assert (await scene.store.batch(good)).ended
        scene.clock.advance(60)
        assert numbers(await scene.counts(bad)) == ((1, 0, 0, 0, 0) if n < 2 else (0, 0, 0, 1, 0))
    assert await scene.store.outcomes(bad) == {"provider_error": 1}
    lane = await scene.store.lane("lane")
    assert lane is not None
    assert lane.open_until is None


async def test_a_fault_of_our_own_is_never_counted_against_an_item(scene: Scene) -> None:
    """The network is away for long, and the lane works for others all the while: their videos are here already."""
    batch = await scene.submit(1)
    for _ in range(10):
        await scene.finish(await scene.take(1), Returned("network_lost", blame=Blame.either, ours=True))
        await scene.submit(1)
        await scene.finish(await scene.take(1), Succeeded("done"))
        assert await scene.claim() is None, "it waits for a moment"
        scene.clock.advance(5)
    await scene.finish(await scene.take(1), Succeeded("done"))
    assert await scene.store.outcomes(batch) == {"done": 1}


async def test_returns_that_blame_nobody_are_bounded_whatever_the_lane_does(scene: Scene) -> None:
    batch = await scene.submit(1)
    for _ in range(3):
        await scene.finish(await scene.take(1), Returned("speech_failed"))
        scene.clock.advance(60)
    assert await scene.store.outcomes(batch) == {"provider_error": 1}


async def test_a_few_items_open_the_breaker_by_their_many_returns(scene: Scene) -> None:
    await scene.submit(2)
    lane = None
    for n in range(BREAKER_ANSWERS // 2):
        lane = await scene.store.lane("lane")
        assert lane is not None
        assert lane.open_until is None, f"opened after {2 * n} returns"
        await scene.finish(await scene.take(2), DOWN)
        scene.clock.advance(3)
    lane = await scene.store.lane("lane")
    assert lane is not None
    assert lane.open_until is not None


async def _claimed_within(scene: Scene, seconds: float, lane: str = "lane") -> list[ClaimedRuns]:
    """What is claimed, and ends well, within so many seconds."""
    bites = []
    for _ in range(int(seconds * 10)):
        scene.clock.advance(0.1)
        if (portion := await scene.claim(lane=lane)) is not None:
            bites.append(portion)
            await scene.finish(portion)
    return bites


@pytest.mark.parametrize(("lane", "own"), [(10, 10), (10, None), (None, 10)])
async def test_a_clock_that_is_set_back_stops_nobody(scene: Scene, lane: float | None, own: float | None) -> None:
    await scene.store.put_lane(Lane("lane", 100, lane))
    await scene.submit(50, pace=own)
    portion = await scene.take()
    scene.clock.advance(-3600)
    await scene.finish(portion)
    assert sum(len(portion.runs) for portion in await _claimed_within(scene, 2)) >= 15


async def test_a_clock_that_is_set_back_starves_no_workspace_and_no_batch(scene: Scene) -> None:
    await scene.store.put_lane(Lane("lane", 1))
    batches = [await scene.submit(50, workspace=workspace) for workspace in ("a", "a", "b", "b")]
    await _claimed_within(scene, 1)
    scene.clock.advance(-3600)
    served = Counter(portion.batch for portion in await _claimed_within(scene, 10))
    assert sum(served.values()) == 100
    assert all(20 <= served[batch] <= 30 for batch in batches)


async def test_a_clock_that_is_set_back_leaves_no_workspace_aside(scene: Scene) -> None:
    await scene.store.put_lane(Lane("lane", 1))
    await scene.store.put_lane(Lane("other", 10))
    await scene.submit(refs("x"), exclusive=True, lane="other")
    held = await scene.take(lane="other")
    waits = await scene.submit(refs("x"), exclusive=True)
    assert await scene.claim() is None, "its workspace is set aside"
    scene.clock.advance(-3600)
    await scene.finish(held)
    await scene.submit(50, workspace="w2")
    free = await scene.submit(1)
    assert free in {portion.batch for portion in await _claimed_within(scene, 1)}
    assert not (await scene.store.batch(waits)).ended, "what was put off to a time of the old clock waits for that"


async def test_a_paced_start_says_how_late_it_may_be(scene: Scene) -> None:
    await scene.submit(1)
    assert (await scene.take()).slack is None
    await scene.store.put_lane(Lane("lane", 100, 5))
    await scene.submit(1)
    portion = await scene.take()
    assert portion.slack == START_SLACK
    assert portion.runs[0].start_at == scene.now + START_LEAD


async def test_a_batch_on_a_lane_that_is_gone_is_stopped_after_its_hour(scene: Scene) -> None:
    there = await scene.submit(1)
    gone = await scene.submit(3, lane="gone")
    later = await scene.submit(1, lane="gone", start_at=scene.after(7200))
    scene.clock.advance(3601)
    due_before = scene.now - timedelta(hours=1)
    assert await scene.store.stop_stranded(["lane"], due_before) == [gone]
    assert await scene.store.stop_stranded(["lane"], due_before) == []
    stopped = await scene.store.batch(gone)
    assert stopped.state is BatchState.failed
    assert stopped.stop_reason is StopReason.fail
    assert stopped.stop_message is not None
    assert "gone" in stopped.stop_message
    assert [(await scene.store.batch(one)).state for one in (there, later)] == [BatchState.queued, BatchState.scheduled]


async def test_what_a_stop_left_deferred_reads_the_same_before_and_after_it_is_swept(scene: Scene) -> None:
    batch = await scene.submit(6, max_tries=3)
    await scene.finish(await scene.take(4), Retry(scene.after(60), Failed("busy", "")))
    scene.clock.advance(60)
    await scene.finish(await scene.take(1), Succeeded("done"))
    await scene.stop(batch)

    async def canceled() -> list[tuple[int, int]]:
        _, items = await scene.store.items(batch, ItemState.canceled, limit=10)
        return [(item.seq, item.tries) for item in items]

    before = await canceled()
    assert before == [(1, 1), (2, 1), (3, 1), (4, 0), (5, 0)]
    await scene.store.sweep_leftovers(2)
    assert await canceled() == before
    while await scene.store.sweep_leftovers(2):
        pass
    assert await canceled() == before
    assert await scene.store.recount(batch) == {}


async def test_single_ones_take_no_place_of_a_list(scene: Scene) -> None:
    quota = Quota(unended_batches=2)
    for _ in range(4):
        await scene.submit(1, quota=quota, origin="single")
    await scene.submit(1, quota=quota)
    await scene.submit(1, quota=quota)
    await scene.submit(1, quota=quota, origin="single")
    with pytest.raises(Conflict) as refused:
        await scene.submit(1, quota=quota)
    assert refused.value.code == "too_many_batches"


@pytest.mark.parametrize("states", [None, [BatchState.queued], [BatchState.queued, BatchState.completed]])
async def test_pages_go_on_before_the_last_one_seen(scene: Scene, states: list[BatchState] | None) -> None:
    made = []
    for _ in range(7):
        made.append(await scene.submit(1))
        scene.clock.advance(0.01)
    newest_first = made[::-1]
    seen: list[str] = []
    before = None
    for _ in range(4):
        page, total = await scene.store.batches("w", states=states, before=before, limit=2)
        assert total == 7
        seen += [batch.id for batch in page]
        before = page[-1].id
    assert seen == newest_first
