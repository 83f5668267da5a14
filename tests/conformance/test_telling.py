"""What is told of a batch, to whom, and that it is told in the very transaction in which it happens."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from covey.domain.batch import StopReason
from covey.domain.errors import Conflict, NotFound
from covey.domain.ids import is_id
from covey.domain.run import Blame, Failed, Retry, Succeeded
from covey.domain.webhook import DeliveryState
from covey.store.operations import control, transaction
from covey.store.results import Tried
from covey.store.store import Store
from tests.conformance.listening import listens

from .conftest import WORKER, Scene
from .databases import Database

DOWN = Failed("far_side_error", "503", blame=Blame.either)


async def told(scene: Scene, name: str = "hook", workspace: str = "w", *, items: bool = True) -> Counter[str]:
    """What the endpoint was told, and how often."""
    page = await scene.store.deliveries(workspace, endpoint=name, limit=1000)
    return Counter(one.type for one in page if items or one.seq is None)


async def test_a_batch_is_told_of_from_its_start_to_its_end(scene: Scene) -> None:
    await listens(scene)
    batch = await scene.submit(3, name="calls", expires_at=scene.after(60), notes={"analysis_mode": "general"})
    assert await told(scene) == {}
    portion = await scene.take()
    assert await told(scene) == {"batch.started": 1}
    await scene.finish(portion, Succeeded("done"), seqs=[0])
    await scene.finish(portion, Failed("wrong", "no"), seqs=[1])
    await scene.finish(portion, Succeeded("other"), seqs=[2])
    assert await told(scene) == {"batch.started": 1, "item.succeeded": 2, "item.failed": 1, "batch.completed": 1}
    page = await scene.store.deliveries("w")
    [last] = [one for one in page if one.type == "batch.completed"]
    assert (last.batch, last.seq, last.endpoint, last.at, last.state) == (
        batch, None, "hook", scene.now, DeliveryState.waiting,
    )  # fmt: skip
    assert last.data == {
        "name": "calls",
        "kind": "kind",
        "lane": "lane",
        "origin": "batch",
        "createdAt": round(scene.now.timestamp() * 1_000_000),
        "expiresAt": round(scene.after(60).timestamp() * 1_000_000),
        "mode": "general",
        "counts": {"total": 3, "waiting": 0, "active": 0, "succeeded": 2, "failed": 1, "canceled": 0},
        "data": {},
    }
    items = {one.seq: (one.type, one.data["data"]) for one in page if one.seq is not None}
    assert items == {
        0: ("item.succeeded", {"code": "done", "attempt": 1}),
        1: ("item.failed", {"code": "wrong", "attempt": 1}),
        2: ("item.succeeded", {"code": "other", "attempt": 1}),
    }
    assert len({one.id for one in page}) == len(page)
    assert all(is_id(one.id) for one in page)


async def test_a_retry_is_no_end(scene: Scene) -> None:
    await listens(scene)
    await scene.submit(1, max_tries=2)
    await scene.one(Retry(scene.now, Failed("busy", "")))
    assert await told(scene) == {"batch.started": 1}
    await scene.one(Retry(scene.now, Failed("busy", "")))
    assert await told(scene) == {"batch.started": 1, "item.failed": 1, "batch.completed": 1}


async def test_a_batch_that_starts_later_is_scheduled(scene: Scene) -> None:
    await listens(scene)
    await scene.submit(1, start_at=scene.after(60))
    assert await told(scene) == {"batch.scheduled": 1}


async def test_pause_and_resume_are_told_once_each(scene: Scene) -> None:
    await listens(scene)
    batch = await scene.submit(2)
    for _ in range(2):
        await scene.store.pause("w", batch, "lunch")
    [pause] = await scene.store.deliveries("w")
    assert (pause.type, pause.data["data"]) == ("batch.paused", {"reason": "lunch"})
    for _ in range(2):
        await scene.store.resume("w", batch)
    assert await told(scene) == {"batch.paused": 1, "batch.resumed": 1}


@pytest.mark.parametrize(
    ("reason", "type_"),
    [
        (StopReason.cancel, "batch.canceled"),
        (StopReason.budget, "batch.canceled"),
        (StopReason.fail, "batch.failed"),
        (StopReason.expire, "batch.expired"),
    ],
)
async def test_of_a_stop_its_end_is_told(scene: Scene, reason: StopReason, type_: str) -> None:
    await listens(scene)
    batch = await scene.submit(5)
    portion = await scene.take(2)
    await scene.store.stop("w", batch, reason)
    assert await told(scene) == {"batch.started": 1}
    await scene.finish(portion)
    assert await told(scene, items=False) == {"batch.started": 1, type_: 1}
    [end] = [one for one in await scene.store.deliveries("w") if one.type == type_]
    assert end.data["counts"] == {
        "total": 5, "waiting": 0, "active": 0, "succeeded": 2, "failed": 0, "canceled": 3,
    }  # fmt: skip


async def test_expiry_by_the_clock_is_told(scene: Scene) -> None:
    await listens(scene)
    await scene.submit(5, expires_at=scene.after(10))
    scene.clock.advance(10)
    await scene.store.expire()
    assert await told(scene) == {"batch.expired": 1}


async def test_what_a_dead_worker_leaves_is_told(scene: Scene) -> None:
    await listens(scene)
    await scene.store.enlist("doomed")
    await scene.submit(2)
    await scene.take(worker="doomed")
    await scene.bury("doomed")
    await scene.store.settle("doomed", {})
    assert await told(scene) == {"batch.started": 1, "item.failed": 2, "batch.completed": 1}


async def test_late_truth_is_not_told_again(scene: Scene) -> None:
    await listens(scene)
    await scene.store.enlist("doomed")
    batch = await scene.submit(1)
    portion = await scene.take(worker="doomed")
    await scene.bury("doomed")
    await scene.store.settle("doomed", {})
    before = await told(scene)
    await scene.finish(portion, Succeeded("done"), worker="doomed")
    assert (await scene.counts(batch)).succeeded == 1
    assert await told(scene) == before


async def test_a_breaker_that_opens_holds_what_has_begun(scene: Scene) -> None:
    await listens(scene, events=("batch.holding",))
    held = await scene.submit(50)
    for _ in range(4):
        await scene.one(DOWN)
    await scene.submit(50, workspace="v")
    not_begun = await scene.submit(50)
    assert await told(scene) == {}
    portion = await scene.take(1)
    while portion.batch != held:
        portion = await scene.take(1)
    await scene.finish(portion, DOWN)
    page = await scene.store.deliveries("w")
    begun = {held} if (await scene.store.batch(not_begun)).started_at is None else {held, not_begun}
    assert {one.batch for one in page} == begun
    assert {one.data["data"]["reason"] for one in page} == {"far_side_error"}
    before = await told(scene)
    scene.clock.advance(1)
    await scene.one(DOWN)
    assert await told(scene) == before, "a probe that fails is no new opening"


async def test_a_silent_far_side_is_told_once_for_each_opening(scene: Scene) -> None:
    await listens(scene, events=("batch.holding",))
    active, paused, stopped, full = [await scene.submit(50) for _ in range(3)] + [await scene.submit(2, cap=1)]
    for _ in range(8):
        await scene.claim(1)
    assert (await scene.store.batch(full)).started_at is not None
    await scene.store.pause("w", paused, "p")
    await scene.stop(stopped)
    for _ in range(3):
        await scene.store.open_lane("lane", scene.after(10), "no answer")
    [one] = await scene.store.deliveries("w")
    assert (one.batch, one.data["data"]) == (active, {"reason": "no answer"})
    await scene.store.close_lane("lane")
    await scene.store.open_lane("lane", scene.after(10), "no answer")
    assert await told(scene) == {"batch.holding": 2}


async def test_each_endpoint_gets_what_it_wants(scene: Scene) -> None:
    await listens(scene, "ends", events=("batch.completed",))
    await listens(scene, "other kind", kind="other")
    await listens(scene, "this kind", kind="kind", events=("batch.completed", "batch.canceled"))
    await listens(scene, "off", off_at=scene.now, off_reason="By hand")
    await listens(scene, "elsewhere", workspace="v")
    await listens(scene, "items", events=("item.failed",))
    await scene.submit(1)
    await scene.one(Succeeded("done"))
    names = ("ends", "other kind", "this kind", "off", "items")
    assert {name: dict(await told(scene, name)) for name in names} == {
        "ends": {"batch.completed": 1},
        "other kind": {},
        "this kind": {"batch.completed": 1},
        "off": {},
        "items": {},
    }
    assert await told(scene, "elsewhere", "v") == {}


async def test_of_a_batch_of_one_only_its_item_is_told_unless_asked(scene: Scene) -> None:
    await listens(scene, "lists")
    await listens(scene, "singles", singles=True)
    first = scene.new(origin="single")
    await listens(scene, "callback", batch=first.id)
    await scene.store.draft(first, WORKER)
    await scene.submit(1, origin="single")
    await scene.one(Succeeded("done"))
    assert await told(scene, "lists") == {"item.succeeded": 1}
    assert await told(scene, "singles") == {"batch.started": 1, "item.succeeded": 1, "batch.completed": 1}
    assert await told(scene, "callback") == {}


async def test_an_endpoint_of_a_batch_hears_of_no_other_and_goes_with_it(scene: Scene) -> None:
    mine = await scene.submit(1, origin="single")
    await listens(scene, "callback", batch=mine)
    other = await scene.submit(1, origin="single")
    for _ in range(2):
        await scene.one(Succeeded("done"))
    page = await scene.store.deliveries("w", endpoint="callback")
    assert {one.batch for one in page} == {mine}
    assert Counter(one.type for one in page) == {"batch.started": 1, "item.succeeded": 1, "batch.completed": 1}
    assert await scene.store.endpoints("w") == []
    due = await scene.store.claim_deliveries(timedelta(seconds=45), 9, {})
    await scene.store.settle_deliveries([(one.delivery.id, Tried(200, None, None)) for one in due])
    await scene.store.erase_batch("w", mine)
    while mine not in await scene.store.sweep_erased(2):
        pass
    await scene.store.sweep_deliveries(scene.now)
    assert await scene.store.deliveries("w", batch=mine) == []
    with pytest.raises(NotFound, match="no endpoint"):
        await scene.store.endpoint("w", "callback")
    assert (await scene.store.batch(other)).ended


async def test_what_is_rolled_back_was_not_told(scene: Scene, store: Store) -> None:
    assert isinstance(store, Store)
    await listens(scene)
    batch = await scene.submit(1)

    async def broken(database: transaction.Database) -> None:
        await control.pause(database, "w", batch, "p")
        raise Conflict("something else went wrong")

    with pytest.raises(Conflict):
        await store._write(broken)
    assert (await store.batch(batch)).paused_at is None
    assert await told(scene) == {}
    await store.pause("w", batch, "p")
    assert await told(scene) == {"batch.paused": 1}


async def test_what_does_not_fit_on_the_disk_was_not_told(scene: Scene, database: Database, store: Store) -> None:
    if database.full_disk is None:
        pytest.skip("this database has no such fault")
    await listens(scene)
    batches = [await scene.submit(1) for _ in range(6)]

    def pause(batch: str) -> Any:
        return lambda: store.pause("w", batch, "p" * 1000)

    results = await database.full_disk(store, [pause(batch) for batch in batches])
    for batch, result in zip(batches, results, strict=True):
        paused = (await store.batch(batch)).paused_at is not None
        assert paused == (not isinstance(result, Exception))
        assert len(await store.deliveries("w", batch=batch)) == int(paused)
