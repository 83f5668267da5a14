"""Limits: a lane's most active and starts a second, a batch's own, and who gets the next slot."""

import itertools
from collections import Counter
from datetime import datetime

import pytest

from covey.domain.account import Workspace
from covey.domain.lane import SPACING, START_HORIZON, START_LEAD, Lane, gap
from covey.domain.run import ClaimedRuns, Returned

from .conftest import WORKER, Scene, refs, seqs


async def starts_over(scene: Scene, seconds: float, step: float, room: int = 50) -> list[datetime]:
    """The start times handed out while somebody asks again and again."""
    starts: list[datetime] = []
    end = scene.after(seconds)
    while scene.now < end:
        portion = await scene.claim(room)
        if portion is not None:
            starts += [run.start_at for run in portion.runs]
        scene.clock.advance(step)
    return starts


def most_in_a_second(starts: list[datetime]) -> int:
    """The most starts within any second, wherever it begins."""
    return max(sum(0 <= (other - first).total_seconds() < 1 for other in starts) for first in starts)


async def test_a_lane_never_has_more_active_than_its_cap(scene: Scene) -> None:
    await scene.store.put_lane(Lane("lane", 5))
    await scene.submit(10)
    await scene.submit(10, workspace="other")
    bites = [portion for _ in range(20) if (portion := await scene.claim()) is not None]
    assert sum(len(portion.runs) for portion in bites) == 5
    await scene.finish(bites[0], seqs=[bites[0].runs[0].seq])
    assert len(seqs(await scene.claim())) == 1
    assert await scene.claim() is None
    await scene.store.put_lane(Lane("lane", 6))
    assert len(seqs(await scene.claim())) == 1
    await scene.store.put_lane(Lane("lane", 0))
    await scene.finish(bites[1], seqs=[bites[1].runs[0].seq])
    assert await scene.claim() is None


@pytest.mark.parametrize(("pace", "step"), [(5, 0.01), (5, 0.19), (5, 0.2), (1, 0.05), (20, 0.033), (100, 0.07)])
async def test_no_second_sees_more_starts_than_the_pace(scene: Scene, pace: float, step: float) -> None:
    await scene.store.put_lane(Lane("lane", 10_000, pace))
    await scene.submit(2000)
    await scene.submit(2000, workspace="other")
    starts = await starts_over(scene, 5, step)
    gaps = [(later - sooner).total_seconds() for sooner, later in itertools.pairwise(starts)]
    assert min(gaps) >= SPACING / pace - 1e-5
    assert most_in_a_second(starts) <= pace
    assert len(starts) >= 5 * pace / SPACING * 0.9


async def test_start_times_reach_no_further_than_the_horizon(scene: Scene) -> None:
    await scene.store.put_lane(Lane("lane", 100, 20))
    await scene.submit(50)
    portion = await scene.take()
    assert len(portion.runs) == 1 + (START_HORIZON - START_LEAD) // gap(20)
    assert all(scene.now + START_LEAD <= run.start_at <= scene.now + START_HORIZON for run in portion.runs)
    claim = await scene.store.claim(WORKER, "lane", 50)
    assert claim.portion is None
    assert claim.again_at is not None
    assert scene.now < claim.again_at <= scene.after(0.1)


async def test_what_waits_without_limits_starts_at_once(scene: Scene) -> None:
    await scene.submit(50)
    assert {run.start_at for run in (await scene.take()).runs} == {scene.now}


async def test_a_batch_keeps_its_own_cap_and_delays_nobody(scene: Scene) -> None:
    capped = await scene.submit(50, cap=2)
    portion = await scene.take()
    assert (portion.batch, len(portion.runs)) == (capped, 2)
    scene.clock.advance(1)
    other = await scene.submit(200)
    free = await scene.take()
    assert (free.batch, len(free.runs)) == (other, 98)
    await scene.finish(portion, seqs=[0])
    assert (await scene.counts(capped)).active == 1
    assert (await scene.store.batch(capped)).next_at is not None
    await scene.finish(free)
    assert {(one.batch, len(one.runs)) for one in (await scene.take(), await scene.take())} >= {(capped, 1)}


async def test_a_cap_may_change_on_the_way(scene: Scene) -> None:
    batch = await scene.submit(50, cap=2)
    await scene.take()
    assert await scene.claim() is None
    changed = await scene.store.adjust("w", batch, {"cap": 5})
    assert changed.cap == 5
    assert len(seqs(await scene.claim())) == 3
    await scene.store.adjust("w", batch, {"cap": None})
    assert len(seqs(await scene.claim())) == 45


async def test_a_batch_keeps_its_own_pace_and_delays_nobody(scene: Scene) -> None:
    slow = await scene.submit(100, pace=2)
    fast = await scene.submit(1000)
    starts: dict[str, list[datetime]] = {slow: [], fast: []}
    for _ in range(500):
        portion = await scene.claim(1)
        if portion is not None:
            starts[portion.batch] += [run.start_at for run in portion.runs]
            await scene.finish(portion)
        scene.clock.advance(0.01)
    assert most_in_a_second(starts[slow]) == 2
    assert len(starts[slow]) == 10
    assert len(starts[fast]) == 490


async def test_a_new_name_lends_no_start_and_a_new_pace_holds_at_once(scene: Scene) -> None:
    batch = await scene.submit(100, pace=1)
    await scene.take()
    for name in ("a", "b"):
        assert (await scene.store.adjust("w", batch, {"name": name})).name == name
        assert await scene.claim() is None
    scene.clock.advance(0.5)
    await scene.store.adjust("w", batch, {"pace": 4})
    assert len(seqs(await scene.claim())) == 1
    scene.clock.advance(0.1)
    await scene.store.adjust("w", batch, {"pace": 0.1})
    scene.clock.advance(9)
    assert await scene.claim() is None
    scene.clock.advance(2)
    assert len(seqs(await scene.claim())) == 1


async def test_gated_items_use_no_start_time(scene: Scene) -> None:
    await scene.store.put_lane(Lane("lane", 100, 1))
    await scene.store.block("w", ["b"], "asked for it")
    await scene.submit(refs("b", "b", "a"), exclusive=True)
    portion = await scene.take()
    assert (seqs(portion), portion.runs[0].start_at) == ([2], scene.now + START_LEAD)


# Fairness


async def test_portions_are_fair_parts_of_what_is_free(scene: Scene) -> None:
    for workspace in ("a", "b"):
        for _ in range(2):
            await scene.submit(1000, workspace=workspace)
    sizes = [(portion.workspace, len(portion.runs)) for _ in range(3) if (portion := await scene.claim()) is not None]
    assert [size for _, size in sizes] == [25, 18, 14]
    assert {workspace for workspace, _ in sizes[:2]} == {"a", "b"}


async def test_a_portion_is_at_least_one(scene: Scene) -> None:
    await scene.store.put_lane(Lane("lane", 3))
    for n in range(5):
        await scene.submit(10, workspace=f"w{n}")
    taken = [await scene.take() for _ in range(3)]
    assert [len(portion.runs) for portion in taken] == [1, 1, 1]
    assert len({portion.workspace for portion in taken}) == 3


async def drained(scene: Scene, rounds: int, slots: int) -> Counter[str]:
    """Who gets the slots when the one taken longest ago falls free again and again."""
    held: list[ClaimedRuns] = []
    served: Counter[str] = Counter()
    for _ in range(rounds):
        scene.clock.advance(0.001)
        if len(held) == slots:
            await scene.finish(held.pop(0))
        portion = await scene.take(1)
        held.append(portion)
        served[portion.workspace] += 1
    return served


async def test_slots_go_by_weight(scene: Scene) -> None:
    await scene.store.put_lane(Lane("lane", 12))
    await scene.store.add_workspace(Workspace("heavy", "", scene.now, weight=3.0))
    await scene.store.add_workspace(Workspace("light", "", scene.now, weight=1.0))
    for workspace in ("heavy", "light"):
        await scene.submit(1000, workspace=workspace)
    served = await drained(scene, 240, 12)
    assert served["heavy"] == pytest.approx(180, abs=12)


async def test_a_changed_weight_holds_for_batches_that_are_there(scene: Scene) -> None:
    await scene.store.put_lane(Lane("lane", 12))
    for workspace in ("a", "b"):
        await scene.store.add_workspace(Workspace(workspace, "", scene.now))
        await scene.submit(1000, workspace=workspace)
    await scene.store.change_workspace(Workspace("b", "", scene.now, weight=3.0))
    served = await drained(scene, 240, 12)
    assert served["b"] == pytest.approx(180, abs=12)


async def test_equals_are_served_in_turn_the_longest_unserved_first(scene: Scene) -> None:
    for workspace in "abc":
        await scene.submit(10, workspace=workspace)
    order = []
    for _ in range(9):
        scene.clock.advance(1)
        portion = await scene.take(1)
        order.append(portion.workspace)
        await scene.finish(portion)
    assert order[:3] == order[3:6] == order[6:]
    assert len(set(order)) == 3


async def test_a_small_batch_beside_a_large_one_gets_the_next_slots(scene: Scene) -> None:
    await scene.store.put_lane(Lane("lane", 20))
    large = await scene.submit(100_000)
    running = await scene.take(20)
    small = await scene.submit(10)
    order = []
    for run in running.runs[:10]:
        scene.clock.advance(1)
        await scene.finish(running, seqs=[run.seq])
        order.append((await scene.take(1)).batch)
    assert order == [small] * 10
    assert large != small


async def test_two_hundred_workspaces_are_all_served_within_two_mean_durations(scene: Scene) -> None:
    duration, slots = 60.0, 100
    for n in range(200):
        await scene.submit(500, workspace=f"w{n}")
    began, served = scene.now, set[str]()
    held: list[tuple[datetime, ClaimedRuns]] = []
    while len(served) < 200:
        for one in [one for one in held if one[0] <= scene.now]:
            await scene.finish(one[1])
            held.remove(one)
        while (portion := await scene.claim(slots)) is not None:
            served.add(portion.workspace)
            # Half of the runs are short, half long: the mean is `duration`.
            spread = 0.5 if len(served) % 2 else 1.5
            held.append((scene.after(duration * spread), portion))
        scene.clock.advance(1)
    assert (scene.now - began).total_seconds() <= 2 * duration


async def test_who_can_start_nothing_leaves_all_to_the_others(scene: Scene) -> None:
    for n in range(20):
        await scene.submit(10, workspace=f"later{n}", start_at=scene.after(60))
    paused = await scene.submit(10, workspace="paused")
    await scene.store.pause("paused", paused, "p")
    stopped = await scene.submit(10, workspace="stopped")
    await scene.take(1)
    await scene.stop(stopped)
    busy = await scene.submit(200, workspace="busy")
    portion = await scene.take()
    assert (portion.batch, len(portion.runs)) == (busy, 99)


async def test_a_returned_item_leaves_its_slot(scene: Scene) -> None:
    await scene.store.put_lane(Lane("lane", 1))
    await scene.submit(2)
    await scene.one(Returned("no_way"))
    assert seqs(await scene.claim()) == [1]


async def test_a_workspace_that_can_start_nothing_stands_in_nobodys_way(scene: Scene) -> None:
    """However many of its batches wait for one phone: each of them would be looked at before the other workspace."""
    await scene.submit(refs("+1"), exclusive=True)
    await scene.take()
    scene.clock.advance(1)
    served = await scene.submit(2, workspace="other", cap=1)
    assert (await scene.take()).batch == served
    for _ in range(50):
        await scene.submit(refs("+1"), exclusive=True)
    later = await scene.submit(1, workspace="other")
    for _ in range(3):
        portion = await scene.claim()
        if portion is not None:
            break
    assert portion is not None
    assert portion.batch == later


async def test_a_workspace_that_can_start_nothing_is_asked_again_when_nobody_else_is_due(scene: Scene) -> None:
    await scene.submit(refs("+1"), exclusive=True)
    held = await scene.take()
    for _ in range(5):
        await scene.submit(refs("+1"), exclusive=True)
    last = await scene.submit(refs("+2"), exclusive=True)
    bites = [await scene.claim() for _ in range(6)]
    assert [portion.batch for portion in bites if portion is not None] == [last]
    await scene.finish(held)
    scene.clock.advance(1)
    assert seqs(await scene.claim()) == [0]
