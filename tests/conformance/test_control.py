"""What people do to a batch: stop, pause, resume, adjust, drop, erase."""

import asyncio

import pytest

from covey.domain.batch import BatchState, StopReason
from covey.domain.errors import Conflict, NotFound
from covey.domain.item import ItemState
from covey.domain.run import NOT_STARTED, Aborted, Failed, Outcome, Retry, Returned, Succeeded
from covey.store.results import Dropped

from ..clock import NOON
from .conftest import WORKER, Scene, numbers, seqs


async def mixed(scene: Scene) -> str:
    """Ten items: 0 succeeded, 1 failed, 2 deferred, 3 and 4 active, the others never claimed."""
    batch = await scene.submit(10, max_tries=3)
    portion = await scene.take(5)
    await scene.finish(portion, Succeeded("good"), seqs=[0])
    await scene.finish(portion, Failed("bad", ""), seqs=[1])
    await scene.finish(portion, Retry(scene.after(60), Failed("busy", "")), seqs=[2])
    return batch


async def test_a_stop_counts_exactly(scene: Scene) -> None:
    batch = await mixed(scene)
    stopped = await scene.store.stop("w", batch, StopReason.cancel, message="enough", actor="key")
    assert stopped.first
    assert numbers(stopped.batch.counts) == (0, 2, 1, 1, 6)
    assert (stopped.batch.state, stopped.batch.stopped_at) == (BatchState.stopping, scene.now)
    assert (stopped.batch.stop_reason, stopped.batch.stop_message) == (StopReason.cancel, "enough")
    event = (await scene.store.history(batch))[-1]
    assert (event.type, event.actor) == ("stopped", "key")
    assert event.data == {"reason": "cancel", "canceled": 6, "active": 2}
    _, items = await scene.store.items(batch)
    assert [item.state.value for item in items] == [
        "succeeded",
        "failed",
        "canceled",
        *["active"] * 2,
        *["canceled"] * 5,
    ]


async def test_a_second_stop_gets_the_same_answer_and_the_first_reason_stays(scene: Scene) -> None:
    batch = await mixed(scene)
    first = await scene.store.stop("w", batch, StopReason.cancel, message="enough")
    second = await scene.store.stop("w", batch, StopReason.expire, message="other")
    assert (first.first, second.first) == (True, False)
    assert first.batch == second.batch


async def test_what_the_stop_counted_canceled_stays_so(scene: Scene) -> None:
    batch = await mixed(scene)
    canceled = (await scene.stop(batch)).counts.canceled
    for _ in range(5):
        scene.clock.advance(100)
        assert await scene.claim() is None
        await scene.store.sweep_leftovers()
        assert (await scene.counts(batch)).canceled == canceled
    assert (await scene.store.item(batch, 2)).state is ItemState.canceled


async def test_active_items_of_a_stopped_batch_finish_and_it_ends(scene: Scene) -> None:
    batch = await scene.submit(5)
    portion = await scene.take(2)
    await scene.stop(batch)
    assert await scene.store.to_drop(WORKER) == []
    await scene.finish(portion, Succeeded("good"), seqs=[0])
    assert (await scene.store.batch(batch)).state is BatchState.stopping
    report = await scene.finish(portion, Failed("bad", ""), seqs=[1])
    done = await scene.store.batch(batch)
    assert (report.ended, done.state, numbers(done.counts)) == ((batch,), BatchState.canceled, (0, 0, 1, 1, 3))


async def test_stopping_what_has_nothing_active_ends_it(scene: Scene) -> None:
    batch = await scene.submit(5)
    done = await scene.stop(batch)
    assert (done.state, done.completed_at, numbers(done.counts)) == (BatchState.canceled, scene.now, (0, 0, 0, 0, 5))


async def test_stopping_what_has_ended_changes_nothing(scene: Scene) -> None:
    batch = await scene.submit(1)
    await scene.one(Succeeded("good"))
    before = await scene.store.batch(batch)
    stopped = await scene.store.stop("w", batch, StopReason.cancel, abort=True)
    assert (stopped.first, stopped.batch) == (False, before)
    assert before.state is BatchState.completed


async def test_abort_drops_what_is_active(scene: Scene) -> None:
    batch = await scene.submit(5)
    await scene.take(2)
    stopped = await scene.stop(batch, abort=True)
    assert stopped.aborted_at == scene.now
    assert set(await scene.store.to_drop(WORKER)) == {Dropped(batch, seq, 1, "aborted") for seq in (0, 1)}
    assert await scene.store.to_drop("other") == []


async def test_abort_counts_later_too(scene: Scene) -> None:
    batch = await scene.submit(5, max_tries=5)
    portion = await scene.take(2)
    await scene.stop(batch)
    scene.clock.advance(3)
    later = await scene.store.stop("w", batch, StopReason.budget, abort=True)
    assert (later.first, later.batch.stop_reason, later.batch.aborted_at) == (False, StopReason.cancel, scene.now)
    await scene.finish(portion, Retry(scene.now, Failed("busy", "")), seqs=[0])
    await scene.finish(portion, Aborted("aborted"), seqs=[1])
    assert numbers(await scene.counts(batch)) == (0, 0, 0, 0, 5)
    assert await scene.store.to_drop(WORKER) == []


async def test_runs_of_an_expired_batch_are_dropped_as_such(scene: Scene) -> None:
    batch = await scene.submit(2)
    await scene.take(1)
    await scene.store.stop("w", batch, StopReason.expire, abort=True)
    assert await scene.store.to_drop(WORKER) == [Dropped(batch, 0, 1, "expired")]


async def test_pause_and_resume(scene: Scene) -> None:
    batch = await scene.submit(3)
    await scene.take(1)
    paused = await scene.store.pause("w", batch, "lunch", "key")
    assert (paused.state, paused.paused_at, paused.pause_reason) == (BatchState.paused, scene.now, "lunch")
    scene.clock.advance(9)
    assert await scene.store.pause("w", batch, "other") == (await scene.store.batch(batch))
    assert (await scene.store.batch(batch)).pause_reason == "lunch"
    resumed = await scene.store.resume("w", batch, "key")
    assert (resumed.state, resumed.paused_at, resumed.pause_reason) == (BatchState.running, None, None)
    await scene.store.resume("w", batch)
    events = [(event.type, event.actor) for event in await scene.store.history(batch)]
    assert events[2:] == [("paused", "key"), ("resumed", "key")]


async def test_a_paused_batch_ends_when_its_last_run_does(scene: Scene) -> None:
    batch = await scene.submit(1)
    portion = await scene.take()
    await scene.store.pause("w", batch, "p")
    assert (await scene.finish(portion)).ended == (batch,)
    assert (await scene.store.batch(batch)).state is BatchState.completed


async def test_a_paused_batch_may_be_stopped(scene: Scene) -> None:
    batch = await scene.submit(4)
    await scene.store.pause("w", batch, "p")
    assert numbers((await scene.stop(batch)).counts) == (0, 0, 0, 0, 4)


@pytest.mark.parametrize("end", ["completed", "stopped"])
async def test_nothing_is_left_to_pause_resume_or_change_after_the_end(scene: Scene, end: str) -> None:
    batch = await scene.submit(2)
    portion = await scene.take()
    await (scene.finish(portion) if end == "completed" else scene.stop(batch))
    for doing in (
        scene.store.pause("w", batch, "p"),
        scene.store.resume("w", batch),
        scene.store.adjust("w", batch, {"cap": 1}),
    ):
        with pytest.raises(Conflict) as refused:
            await doing
        assert refused.value.code == "ended"


async def test_changes_are_kept_and_written_down(scene: Scene) -> None:
    batch = await scene.submit(3, name="old", cap=5, pace=2.0)
    changed = await scene.store.adjust("w", batch, {"name": "new", "pace": 4.0}, "key")
    assert (changed.name, changed.cap, changed.pace) == ("new", 5, 4.0)
    event = (await scene.store.history(batch))[-1]
    assert (event.type, event.actor, event.data) == ("changed", "key", {"name": "new", "pace": 4.0})


async def test_one_active_item_may_be_dropped(scene: Scene) -> None:
    batch = await scene.submit(3, max_tries=3)
    portion = await scene.take(2)
    assert await scene.store.drop("w", batch, 1, "key")
    assert not await scene.store.drop("w", batch, 2)
    assert not await scene.store.drop("w", batch, 99)
    assert await scene.store.to_drop(WORKER) == [Dropped(batch, 1, 1, "aborted")]
    await scene.finish(portion, Retry(scene.after(1), Failed("busy", "")))
    assert await scene.store.to_drop(WORKER) == []
    scene.clock.advance(2)
    assert seqs(await scene.claim(1)) == [0], "the other one is tried again"
    assert await scene.store.to_drop(WORKER) == []
    event = [event for event in await scene.store.history(batch) if event.type == "item_aborted"]
    assert [(one.actor, one.data) for one in event] == [("key", {"seq": 1})]


@pytest.mark.parametrize("outcome", [Returned(NOT_STARTED), Returned("away"), Retry(NOON, Failed("busy", ""))])
async def test_a_dropped_item_never_starts_again_whatever_its_run_came_to(scene: Scene, outcome: Outcome) -> None:
    """Its run may have come back by itself, or ended so that another try is due, before anybody could tell it."""
    batch = await scene.submit(1, max_tries=3)
    portion = await scene.take(1)
    assert await scene.store.drop("w", batch, 0)
    await scene.finish(portion, outcome)
    assert (await scene.store.item(batch, 0)).state is ItemState.canceled
    scene.clock.advance(60)
    assert await scene.claim(1) is None


async def test_a_dropped_run_that_is_lost_is_not_repeated(scene: Scene) -> None:
    batch = await scene.submit(2, repeatable=True)
    await scene.store.enlist("doomed")
    await scene.take(2, worker="doomed")
    assert await scene.store.drop("w", batch, 0)
    await scene.bury("doomed")
    assert await scene.store.settle("doomed", {}) == 0
    assert [(await scene.store.item(batch, seq)).state for seq in (0, 1)] == [ItemState.canceled, ItemState.waiting]


async def _told(scene: Scene, *wakeups: str) -> None:
    """Wait until the process has heard these hints. Every one comes with the change that it is about."""
    async with asyncio.timeout(10):
        while not set(wakeups) <= set(scene.heard):
            await asyncio.sleep(0.01)
    scene.heard.clear()


async def test_whatever_takes_runs_back_is_told_to_every_process(scene: Scene) -> None:
    """What was handed out and has not started is withdrawn by that: by whomever it is held, whoever gave the order."""
    batch = await mixed(scene)
    await scene.store.pause("w", batch, "asked")
    await _told(scene, f"withdraw:{batch}")
    await scene.store.drop("w", batch, 3)
    await _told(scene, "drop")
    await scene.store.stop("w", batch, StopReason.cancel)
    await _told(scene, f"withdraw:{batch}")
    await scene.store.stop("w", batch, StopReason.cancel, abort=True)
    await _told(scene, "drop")
    assert await scene.store.block("w", ["somebody"], "asked") == 1
    await _told(scene, "drop")
    failing = await scene.submit(40, self_pausing=True)
    while (portion := await scene.claim(1)) is not None:
        await scene.finish(portion, Failed("bad", ""))
    assert (await scene.store.batch(failing)).pause_reason == "failing:bad"
    await _told(scene, f"withdraw:{failing}")
    expiring = await scene.submit(2, repeatable=True, expires_at=scene.after(50))
    await scene.take(1)
    scene.clock.advance(60)
    assert await scene.store.expire() == [expiring]
    await _told(scene, f"withdraw:{expiring}", "drop")


async def test_an_erased_batch_is_hidden_at_once_and_removed_in_pieces(scene: Scene) -> None:
    batch = await scene.submit(7)
    other = await scene.submit(1)
    await scene.finish(await scene.take(3))
    with pytest.raises(Conflict) as refused:
        await scene.store.erase_batch("w", batch)
    assert refused.value.code == "not_ended"
    await scene.stop(batch)
    await scene.store.erase_batch("w", batch, "key")
    with pytest.raises(NotFound):
        await scene.store.batch(batch)
    with pytest.raises(NotFound):
        await scene.store.erase_batch("w", batch)
    found, total = await scene.store.batches("w")
    assert ([one.id for one in found], total) == ([other], 1)

    gone: list[str] = []
    pieces = 0
    while batch not in gone:
        gone += await scene.store.sweep_erased(2)
        pieces += 1
        assert pieces < 50
    assert pieces > 3
    assert gone == [batch]
    assert await scene.store.history(batch) == []
    assert await scene.store.outcomes(batch) == {}


async def test_every_order_wants_a_batch_that_is_there(scene: Scene) -> None:
    draft = scene.new()
    await scene.store.draft(draft, WORKER)
    for id_ in (scene.new().id, draft.id, "nonsense"):
        for doing in (
            scene.store.stop("w", id_, StopReason.cancel),
            scene.store.pause("w", id_, "p"),
            scene.store.resume("w", id_),
            scene.store.adjust("w", id_, {}),
            scene.store.drop("w", id_, 0),
            scene.store.erase_batch("w", id_),
        ):
            with pytest.raises(NotFound):
                await doing


async def test_a_batch_of_another_workspace_is_not_there(scene: Scene) -> None:
    batch = await scene.submit(3)
    await scene.take(1)
    before, store = await scene.store.batch(batch), scene.store
    for order in (
        lambda: store.stop("v", batch, StopReason.cancel, abort=True),
        lambda: store.pause("v", batch, "p"),
        lambda: store.resume("v", batch),
        lambda: store.adjust("v", batch, {"cap": 1, "name": "theirs"}),
        lambda: store.drop("v", batch, 0),
        lambda: store.erase_batch("v", batch),
    ):
        with pytest.raises(NotFound):
            await order()
    assert await store.batch(batch) == before
    assert await store.to_drop(WORKER) == []
