"""What the sweeper does: expiry, leftovers, retention."""

from datetime import timedelta

import pytest

from covey.domain.account import RequestFingerprint, StoredResponse
from covey.domain.batch import BatchState, StopReason
from covey.domain.errors import NotFound
from covey.domain.run import Failed, Retry, Succeeded
from covey.store.results import Dropped

from .conftest import WORKER, Scene, numbers


async def test_what_a_stopped_batch_still_does_ends_with_its_time(scene: Scene) -> None:
    """An analysis that goes on after a cancel is dropped when the batch's time is over; a call goes on."""
    harmless = await scene.submit(3, repeatable=True, expires_at=scene.after(10))
    await scene.take(1)
    call = await scene.submit(3, expires_at=scene.after(10), workspace="w2")
    await scene.take(1)
    for batch in (harmless, call):
        await scene.stop(batch)
    scene.clock.advance(11)
    assert await scene.store.expire() == [harmless]
    assert await scene.store.expire() == []
    assert await scene.store.to_drop(WORKER) == [Dropped(harmless, 0, 1, "aborted")]
    assert (await scene.store.batch(harmless)).stop_reason is StopReason.cancel


async def test_batches_expire_when_their_time_is_over(scene: Scene) -> None:
    short = await scene.submit(3, expires_at=scene.after(10))
    long = await scene.submit(3, expires_at=scene.after(20))
    paused = await scene.submit(3, expires_at=scene.after(10))
    await scene.store.pause("w", paused, "p")
    assert await scene.store.expire() == []
    scene.clock.advance(10)
    assert set(await scene.store.expire()) == {short, paused}
    assert await scene.store.expire() == []
    assert (await scene.store.batch(short)).state is BatchState.expired
    assert (await scene.store.batch(long)).state is BatchState.queued
    assert (await scene.store.history(short))[-2].data == {"reason": "expire", "canceled": 3, "active": 0}


async def test_ended_batches_and_drafts_do_not_expire(scene: Scene) -> None:
    await scene.submit(1, expires_at=scene.after(10))
    await scene.one(Succeeded("good"))
    draft = scene.new(expires_at=scene.after(10))
    await scene.store.draft(draft, WORKER)
    scene.clock.advance(60)
    assert await scene.store.expire() == []


async def test_expiry_goes_in_pieces(scene: Scene) -> None:
    for _ in range(5):
        await scene.submit(1, expires_at=scene.after(10))
    scene.clock.advance(10)
    assert [len(await scene.store.expire(2)) for _ in range(4)] == [2, 2, 1, 0]


@pytest.mark.parametrize("repeatable", [False, True])
async def test_only_what_may_be_repeated_is_dropped_by_expiry(scene: Scene, *, repeatable: bool) -> None:
    batch = await scene.submit(2, expires_at=scene.after(10), repeatable=repeatable)
    await scene.take(1)
    scene.clock.advance(10)
    assert await scene.store.expire() == [batch]
    dropped = [Dropped(batch, 0, 1, "expired")] if repeatable else []
    assert await scene.store.to_drop(WORKER) == dropped
    assert numbers(await scene.counts(batch)) == (0, 1, 0, 0, 1)


async def test_what_a_stopped_batch_left_deferred_is_removed_in_pieces(scene: Scene) -> None:
    batch = await scene.submit(10, max_tries=3)
    await scene.finish(await scene.take(7), Retry(scene.after(60), Failed("busy", "")))
    await scene.stop(batch)
    before = await scene.store.items(batch)
    assert [await scene.store.sweep_leftovers(3) for _ in range(4)] == [3, 3, 1, 0]
    after = await scene.store.items(batch)
    assert [(item.seq, item.state) for item in after[1]] == [(item.seq, item.state) for item in before[1]]
    assert after[0] == before[0]


async def test_batches_are_erased_when_they_were_kept_long_enough(scene: Scene) -> None:
    hour = timedelta(hours=1)
    old = await scene.submit(1, keep=hour)
    for_ever = await scene.submit(1)
    for _ in range(2):
        await scene.one(Succeeded("good"))
    assert (await scene.store.batch(old)).deletes_at == scene.now + hour
    unended = await scene.submit(1, keep=hour)
    assert (await scene.store.batch(unended)).deletes_at is None
    scene.clock.advance(3600 - 1)
    young = await scene.submit(1, keep=hour)
    await scene.stop(young)
    assert await scene.store.retire_batches() == 0
    scene.clock.advance(1)
    assert [await scene.store.retire_batches() for _ in range(2)] == [1, 0]
    with pytest.raises(NotFound):
        await scene.store.batch(old)
    for batch in (for_ever, unended, young):
        assert (await scene.store.batch(batch)).id == batch
    gone: list[str] = []
    while old not in gone:
        gone += await scene.store.sweep_erased()
    assert gone == [old]


async def test_a_batch_that_has_not_ended_outlives_its_time(scene: Scene) -> None:
    when = scene.after(60)
    batch = await scene.submit(2, deletes_at=when, keep=timedelta(days=9))
    draft = scene.new(deletes_at=when)
    await scene.store.draft(draft, WORKER)
    portion = await scene.take(1)
    scene.clock.advance(3600)
    assert await scene.store.retire_batches() == 0
    await scene.stop(batch)
    assert await scene.store.retire_batches() == 0
    await scene.finish(portion, Succeeded("good"))
    assert (await scene.store.batch(batch)).deletes_at == when
    assert await scene.store.retire_batches() == 1


async def test_old_batches_go_in_pieces(scene: Scene) -> None:
    for _ in range(5):
        await scene.stop(await scene.submit(1, keep=timedelta(0)))
    assert [await scene.store.retire_batches(2) for _ in range(4)] == [2, 2, 1, 0]


async def test_answers_are_kept_for_a_day(scene: Scene) -> None:
    meaning = RequestFingerprint("w", "key", "POST /x", b"digest")
    await scene.store.begin_answer(meaning, WORKER, None)
    await scene.store.keep_answer(meaning, StoredResponse(200, b"{}"))
    scene.clock.advance(24 * 3600 - 1)
    await scene.store.sweep_leftovers()
    assert await scene.store.begin_answer(meaning, WORKER, None) == StoredResponse(200, b"{}")
    scene.clock.advance(2)
    assert await scene.store.sweep_leftovers() == 1
    assert await scene.store.begin_answer(meaning, WORKER, None) is None


async def test_erased_batches_wait_in_the_order_in_which_they_were_erased(scene: Scene) -> None:
    made = [await scene.submit(3) for _ in range(3)]
    erased = [made[1], made[2], made[0]]
    for batch in erased:
        await scene.stop(batch)
        await scene.store.erase_batch("w", batch)
        scene.clock.advance(1)
    await scene.submit(1)
    assert [await scene.store.next_erased(after) for after in (None, *erased)] == [*erased, None]
    gone: list[str] = []
    while erased[1] not in gone:
        gone += await scene.store.sweep_erased(2, erased[1])
    assert gone == [erased[1]]
    assert await scene.store.sweep_erased(2, erased[1]) == []
    assert [await scene.store.next_erased(after) for after in (None, erased[0])] == [erased[0], erased[2]]
    assert await scene.store.next_erased(erased[1]) is None


async def test_batches_erased_at_once_are_all_gone_through(scene: Scene) -> None:
    erased = {await scene.submit(1, keep=timedelta(0)) for _ in range(3)}
    for batch in erased:
        await scene.stop(batch)
    assert await scene.store.retire_batches() == 3
    found, after = [], await scene.store.next_erased()
    while after is not None:
        found.append(after)
        after = await scene.store.next_erased(after)
    assert (len(found), set(found)) == (3, erased)


async def test_only_an_erased_batch_is_removed(scene: Scene) -> None:
    batch = await scene.submit(1)
    await scene.stop(batch)
    assert [await scene.store.sweep_erased(2, batch) for _ in range(9)] == [[]] * 9
    assert len((await scene.store.items(batch))[1]) == 1
