"""Claiming: in the list's order, due before new, nothing that must not start."""

from datetime import timedelta

import pytest

from covey.domain.batch import BatchState, StopReason
from covey.domain.errors import Conflict
from covey.domain.item import ItemState
from covey.domain.lane import Lane
from covey.domain.run import NOT_STARTED, Failed, Retry, Returned, Succeeded

from ..clock import NOON
from .conftest import WORKER, Scene, numbers, refs, seqs


async def test_items_come_in_the_lists_order_and_once(scene: Scene) -> None:
    batch = await scene.submit(5)
    assert [seqs(await scene.claim(2)) for _ in range(4)] == [[0, 1], [2, 3], [4], []]
    assert numbers(await scene.counts(batch)) == (0, 5, 0, 0, 0)


async def test_a_portion_says_all_that_a_worker_needs(scene: Scene) -> None:
    batch = await scene.submit(refs("r"), workspace="ws", kind="k", config=b'{"c":1}')
    portion = await scene.take()
    assert (portion.batch, portion.workspace, portion.kind, portion.lane) == (batch, "ws", "k", "lane")
    assert (portion.config, portion.now) == (b'{"c":1}', scene.now)
    (run,) = portion.runs
    assert (run.seq, run.attempt, run.tries, run.ref, run.input, run.start_at) == (0, 1, 0, "r", b"{}", scene.now)


async def test_the_first_claim_starts_the_batch(scene: Scene) -> None:
    batch = await scene.submit(2)
    assert (await scene.store.batch(batch)).state is BatchState.queued
    scene.clock.advance(5)
    await scene.take(1)
    begun = await scene.store.batch(batch)
    assert (begun.state, begun.started_at) == (BatchState.running, scene.now)
    scene.clock.advance(5)
    await scene.take(1)
    assert (await scene.store.batch(batch)).started_at == begun.started_at


async def test_an_unknown_lane_no_room_or_nothing_to_do_brings_nothing(scene: Scene) -> None:
    await scene.submit(1)
    assert await scene.claim(lane="other") is None
    assert await scene.claim(0) is None
    await scene.take()
    assert (await scene.store.claim(WORKER, "lane", 9)).again_at is None


async def test_lanes_do_not_mix(scene: Scene) -> None:
    await scene.store.put_lane(Lane("other", 5))
    mine, theirs = await scene.submit(1), await scene.submit(1, lane="other")
    assert (await scene.take()).batch == mine
    assert (await scene.take(lane="other")).batch == theirs


@pytest.mark.parametrize("end", ["retire", "dead"])
async def test_a_worker_that_was_given_up_claims_no_more(scene: Scene, end: str) -> None:
    await scene.submit(2)
    await scene.store.enlist("gone")
    await (scene.store.retire("gone") if end == "retire" else scene.bury("gone"))
    with pytest.raises(Conflict) as refused:
        await scene.claim(worker="gone")
    assert refused.value.code == "worker_gone"
    with pytest.raises(Conflict):
        await scene.claim(worker="never enlisted")
    assert seqs(await scene.claim()) == [0, 1]


async def test_nothing_starts_before_its_time(scene: Scene) -> None:
    batch = await scene.submit(1, start_at=scene.after(60))
    claim = await scene.store.claim(WORKER, "lane", 9)
    assert (claim.portion, claim.again_at) == (None, scene.after(60))
    assert (await scene.store.batch(batch)).state is BatchState.scheduled
    await scene.store.pause("w", batch, "p")
    await scene.store.resume("w", batch)
    scene.clock.advance(59.9)
    assert await scene.claim() is None
    scene.clock.advance(0.1)
    assert (await scene.store.batch(batch)).state is BatchState.queued
    assert seqs(await scene.claim()) == [0]


async def test_nothing_starts_while_paused_and_the_rest_after(scene: Scene) -> None:
    batch = await scene.submit(3)
    portion = await scene.take(1)
    await scene.store.pause("w", batch, "p")
    assert await scene.claim() is None
    await scene.finish(portion, Retry(scene.now, Failed("x", "")))
    assert await scene.claim() is None
    await scene.store.adjust("w", batch, {"cap": 9})
    assert await scene.claim() is None
    await scene.store.resume("w", batch)
    assert seqs(await scene.claim()) == [1, 2]


async def test_nothing_starts_that_was_stopped(scene: Scene) -> None:
    batch = await scene.submit(9, max_tries=3)
    portion = await scene.take(3)
    await scene.finish(portion, Retry(scene.now, Failed("x", "")), seqs=[0])
    await scene.stop(batch)
    assert await scene.claim() is None
    for seq in (1, 2):
        await scene.finish(portion, Retry(scene.now, Failed("x", "")), seqs=[seq])
        scene.clock.advance(3600)
        assert await scene.claim() is None
    assert numbers(await scene.counts(batch)) == (0, 0, 0, 2, 7)


async def test_nothing_starts_after_its_time_and_the_batch_expires_with_the_claim(scene: Scene) -> None:
    batch = await scene.submit(3, expires_at=scene.after(60))
    portion = await scene.take(1)
    scene.clock.advance(60)
    assert await scene.claim() is None
    expired = await scene.store.batch(batch)
    assert (expired.state, expired.stop_reason) == (BatchState.stopping, StopReason.expire)
    assert numbers(expired.counts) == (0, 1, 0, 0, 2)
    await scene.finish(portion)
    assert (await scene.store.batch(batch)).state is BatchState.expired


async def test_due_items_come_before_new_ones_and_never_returned_ones_first(scene: Scene) -> None:
    await scene.submit(5, max_tries=3)
    portion = await scene.take(3)
    await scene.finish(portion, Returned("no_way"), seqs=[0])
    scene.clock.advance(1)
    await scene.finish(portion, Retry(scene.after(30), Failed("busy", "")), seqs=[1])
    await scene.finish(portion, Retry(scene.after(20), Failed("busy", "")), seqs=[2])
    scene.clock.advance(60)
    again = await scene.take(4)
    assert seqs(again) == [2, 1, 0, 3]
    assert [(run.attempt, run.tries) for run in again.runs] == [(2, 1), (2, 1), (2, 0), (1, 0)]


async def test_what_is_not_due_waits_and_the_claim_says_until_when(scene: Scene) -> None:
    batch = await scene.submit(2, max_tries=2)
    portion = await scene.take()
    await scene.finish(portion, Retry(scene.after(30), Failed("busy", "")), seqs=[0])
    await scene.finish(portion, Retry(scene.after(90), Failed("busy", "")), seqs=[1])
    claim = await scene.store.claim(WORKER, "lane", 9)
    assert (claim.portion, claim.again_at) == (None, scene.after(30))
    assert (await scene.store.batch(batch)).next_at == scene.after(30)
    scene.clock.advance(30)
    assert seqs(await scene.claim()) == [0]
    scene.clock.advance(60)
    assert seqs(await scene.claim()) == [1]


async def test_what_never_started_comes_again_at_once_with_nothing_spent(scene: Scene) -> None:
    await scene.submit(1)
    for attempt in range(1, 8):
        portion = await scene.take()
        assert [(run.attempt, run.tries) for run in portion.runs] == [(attempt, 0)]
        await scene.finish(portion, Returned(NOT_STARTED))
    await scene.one(Succeeded("done"))


# The gate


async def test_blocked_refs_end_without_being_touched(scene: Scene) -> None:
    await scene.store.block("w", ["b"], "asked for it")
    await scene.store.block("other", ["a"], "asked for it")
    batch = await scene.submit(refs("a", "b", None, "b"), exclusive=True)
    assert seqs(await scene.claim()) == [0, 2]
    assert numbers(await scene.counts(batch)) == (0, 2, 0, 0, 2)
    item = await scene.store.item(batch, 1)
    assert item.last is not None
    assert (item.state, item.last.code, item.last.started_at, item.tries) == (
        ItemState.canceled,
        "do_not_call",
        None,
        0,
    )
    assert (await scene.store.outcomes(batch)) == {"do_not_call": 2}


async def test_blocking_holds_for_refs_that_need_not_be_exclusive(scene: Scene) -> None:
    await scene.store.block("w", ["b"], "asked for it")
    await scene.submit(refs("b", "c"))
    assert seqs(await scene.claim()) == [1]


async def test_blocking_holds_for_what_waits_for_its_retry(scene: Scene) -> None:
    batch = await scene.submit(refs("a"), max_tries=3, exclusive=True)
    await scene.one(Retry(scene.now, Failed("busy", "")))
    await scene.store.block("w", ["a"], "asked for it")
    assert await scene.claim() is None
    done = await scene.store.batch(batch)
    assert (done.state, numbers(done.counts)) == (BatchState.completed, (0, 0, 0, 0, 1))
    item = await scene.store.item(batch, 0)
    assert [run.code for run in item.earlier] == ["busy"]


async def test_a_batch_of_blocked_items_completes(scene: Scene) -> None:
    await scene.store.block("w", ["a", "b"], "asked for it")
    batch = await scene.submit(refs("a", "b"), exclusive=True)
    assert await scene.claim() is None
    assert (await scene.store.batch(batch)).state is BatchState.completed


async def test_one_ref_is_active_once_across_the_batches_of_a_workspace(scene: Scene) -> None:
    first = await scene.submit(refs("a", "b", "a"), exclusive=True)
    scene.clock.advance(1)
    second = await scene.submit(refs("a", "c"), exclusive=True)
    elsewhere = await scene.submit(refs("a"), exclusive=True, workspace="other")
    bites = [portion for _ in range(4) if (portion := await scene.claim()) is not None]
    assert {(portion.batch, seq) for portion in bites for seq in seqs(portion)} == {
        (first, 0),
        (first, 1),
        (second, 1),
        (elsewhere, 0),
    }
    waits = await scene.store.item(second, 0)
    assert (waits.state, waits.reason, waits.tries) == (ItemState.waiting, "ref_active", 0)
    status = await scene.store.lane("lane")
    assert status is not None
    assert status.active == 4

    (mine,) = [portion for portion in bites if portion.batch == first]
    await scene.finish(mine, seqs=[0])
    scene.clock.advance(2)
    later = [seq for _ in range(4) for seq in seqs(await scene.claim())]
    assert len(later) == 1


@pytest.mark.parametrize(
    "outcome", [Succeeded("x"), Failed("x", ""), Retry(NOON, Failed("x", "")), Returned(NOT_STARTED), Returned("x")]
)
async def test_a_ref_is_free_again_whatever_came_of_it(scene: Scene, outcome: Succeeded) -> None:
    await scene.submit(refs("a"), exclusive=True, max_tries=2)
    await scene.finish(await scene.take(), outcome)
    await scene.submit(refs("a"), exclusive=True)
    scene.clock.advance(100)
    assert await scene.claim() is not None


async def test_refs_that_are_not_exclusive_may_be_active_together(scene: Scene) -> None:
    await scene.submit(refs("a", "a"))
    assert seqs(await scene.claim()) == [0, 1]


async def test_hours_hold_in_every_zone_an_item_may_be_in(scene: Scene) -> None:
    rows = [
        *refs(None),
        *(type(r)(b"{}", zone=z) for r, z in zip(refs("x") * 3, ZONES, strict=True)),
    ]
    batch = await scene.submit(rows, hours="08:00-21:00")
    assert seqs(await scene.claim()) == [0, 1]
    tokyo, either = await scene.store.item(batch, 2), await scene.store.item(batch, 3)
    assert (tokyo.state, tokyo.reason, tokyo.tries) == (ItemState.waiting, "outside_hours", 0)
    assert tokyo.due_at == NOON + timedelta(hours=11)
    assert either.due_at == NOON + timedelta(hours=4)
    claim = await scene.store.claim(WORKER, "lane", 9)
    assert (claim.portion, claim.again_at) == (None, either.due_at)
    scene.clock.advance(4 * 3600)
    assert seqs(await scene.claim()) == [3]
    scene.clock.advance(7 * 3600)
    assert seqs(await scene.claim()) == [2]


ZONES = ("Europe/Paris", "Asia/Tokyo", "America/New_York,America/Los_Angeles")


async def test_a_long_run_of_items_that_may_not_start_holds_nobody_up(scene: Scene) -> None:
    await scene.store.block("w", ["b"], "asked for it")
    long = await scene.submit(refs(*["b"] * 5000), exclusive=True)
    scene.clock.advance(0.01)
    short = await scene.submit(1, workspace="x")
    claims = [await scene.store.claim(WORKER, "lane", 100) for _ in range(2)]
    assert [portion.batch for claim in claims if (portion := claim.portion)] == [short]
    for _ in range(20):
        scene.clock.advance(0.1)
        await scene.claim()
    assert numbers(await scene.counts(long)) == (0, 0, 0, 0, 5000)
