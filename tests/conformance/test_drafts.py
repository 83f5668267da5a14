"""Filling a batch: nobody sees or claims a draft until it is accepted."""

from datetime import timedelta

import pytest

from covey.domain.batch import BatchState, NewItem, Quota
from covey.domain.errors import Conflict, NotFound
from covey.domain.item import ItemState

from .conftest import FREE, WORKER, Scene, numbers


async def test_a_draft_is_neither_shown_nor_claimed(scene: Scene) -> None:
    new = scene.new(fingerprint="f")
    await scene.store.draft(new, WORKER)
    await scene.store.append(new.id, 0, [NewItem(b"{}", ref="r")])

    with pytest.raises(NotFound):
        await scene.store.batch(new.id)
    assert await scene.store.batches("w") == ([], 0)
    assert await scene.store.by_ref("w", "r") == []
    assert await scene.store.find_fingerprint("w", "f", "lane", scene.after(-10)) is None
    assert await scene.claim() is None


async def test_an_accepted_batch_is_as_it_was_given(scene: Scene) -> None:
    facts = {"name": "n", "max_tries": 3, "hours": "08:00-21:00", "cap": 2, "pace": 1.5, "notes": {"a": [1]}}
    new = scene.new(**facts, start_at=scene.after(60), expires_at=scene.after(3600))
    await scene.store.draft(new, WORKER)
    await scene.store.append(new.id, 0, [NewItem(b'{"x":1}', "r", "Europe/Paris", "c")])
    await scene.store.append(new.id, 1, [NewItem(b'{"x":2}')])
    batch = await scene.store.accept(new.id, 2, FREE, "key")

    assert batch == await scene.store.batch(new.id, "w")
    for fact in ("id", "workspace", "kind", "lane", "config", "origin", "created_at", "start_at", "expires_at", *facts):
        assert getattr(batch, fact) == getattr(new, fact), fact
    assert (batch.state, numbers(batch.counts)) == (BatchState.scheduled, (2, 0, 0, 0, 0))
    _, (first, second) = await scene.store.items(new.id)
    assert (first.seq, first.state, first.ref, first.custom_id) == (0, ItemState.waiting, "r", "c")
    assert (first.input, second.input, second.ref) == (b'{"x":1}', b'{"x":2}', None)
    created = (await scene.store.history(new.id))[0]
    assert (created.type, created.actor, created.data) == ("created", "key", {"total": 2})


async def test_nothing_is_added_to_what_is_no_draft(scene: Scene) -> None:
    batch = await scene.submit(1)
    for id_ in (batch, scene.new().id):
        with pytest.raises(NotFound):
            await scene.store.append(id_, 1, [NewItem(b"{}")])
        with pytest.raises(NotFound):
            await scene.store.accept(id_, 1, FREE)
    assert (await scene.counts(batch)).total == 1


async def test_a_discarded_draft_leaves_nothing(scene: Scene) -> None:
    new = scene.new()
    await scene.store.draft(new, WORKER)
    await scene.store.append(new.id, 0, [NewItem(b"{}", ref="r")] * 3)
    await scene.store.discard(new.id)

    with pytest.raises(NotFound):
        await scene.store.accept(new.id, 3, FREE)
    while new.id not in await scene.store.sweep_erased(2):
        pass
    with pytest.raises(NotFound):
        await scene.store.batch(new.id)


async def test_discarding_a_batch_does_nothing(scene: Scene) -> None:
    batch = await scene.submit(2)
    await scene.store.discard(batch)
    await scene.store.discard(scene.new().id)
    assert (await scene.counts(batch)).waiting == 2


async def test_drafts_of_dead_workers_are_swept_and_those_of_the_living_are_not(scene: Scene) -> None:
    mine, orphan = scene.new(), scene.new()
    await scene.store.enlist("dead")
    await scene.store.draft(mine, WORKER)
    await scene.store.draft(orphan, "dead")
    assert await scene.store.sweep_drafts(WORKER) == 0
    await scene.bury("dead")
    assert await scene.store.sweep_drafts(WORKER) == 1
    await scene.store.append(mine.id, 0, [NewItem(b"{}")])
    await scene.store.accept(mine.id, 1, FREE)
    with pytest.raises(NotFound):
        await scene.store.append(orphan.id, 0, [NewItem(b"{}")])


async def test_batches_are_counted_kind_by_kind(scene: Scene) -> None:
    quota = Quota(unended_batches=1)
    await scene.submit(1, quota=quota, kind="call")
    await scene.submit(1, quota=quota, kind="video")
    with pytest.raises(Conflict) as refused:
        await scene.submit(1, quota=quota, kind="video")
    assert refused.value.code == "too_many_batches"
    await scene.submit(1, quota=quota, kind="video", origin="single")


async def test_no_more_open_batches_than_the_quota(scene: Scene) -> None:
    quota = Quota(unended_batches=2)
    first = await scene.submit(1, quota=quota)
    await scene.submit(1, quota=quota)
    with pytest.raises(Conflict) as refused:
        await scene.submit(1, quota=quota)
    assert refused.value.code == "too_many_batches"
    await scene.submit(1, workspace="other", quota=quota)
    await scene.stop(first)
    await scene.submit(1, quota=quota)


async def test_no_more_waiting_items_than_the_quota(scene: Scene) -> None:
    quota = Quota(waiting_items=10)
    batch = await scene.submit(7, quota=quota)
    with pytest.raises(Conflict) as refused:
        await scene.submit(4, quota=quota)
    assert refused.value.code == "too_many_items"
    await scene.take(1)
    await scene.submit(4, quota=quota)
    await scene.stop(batch)


async def test_the_same_list_twice_is_refused_while_open_or_young(scene: Scene) -> None:
    quota = Quota(duplicate_window=timedelta(minutes=10))
    first = await scene.submit(1, fingerprint="f", quota=quota)
    with pytest.raises(Conflict) as refused:
        await scene.submit(1, fingerprint="f", quota=quota)
    assert (refused.value.code, refused.value.details["batch"]) == ("duplicate_batch", first)
    await scene.submit(1, fingerprint="f", workspace="other", quota=quota)
    await scene.submit(1, fingerprint="g", quota=quota)
    await scene.submit(1, fingerprint="f", lane="another", quota=quota)
    assert await scene.store.find_fingerprint("w", "f", "lane", scene.now) == first

    scene.clock.advance(3600)
    with pytest.raises(Conflict):
        await scene.submit(1, fingerprint="f", quota=quota)
    await scene.stop(first)
    second = await scene.submit(1, fingerprint="f", quota=quota)
    await scene.stop(second)
    scene.clock.advance(599)
    with pytest.raises(Conflict):
        await scene.submit(1, fingerprint="f", quota=quota)
    await scene.submit(1, fingerprint="f", quota=Quota(allow_duplicate=True))
    assert await scene.store.find_fingerprint("w", "f", "lane", scene.now) is not None


async def test_a_refused_draft_can_be_discarded_and_was_never_shown(scene: Scene) -> None:
    new = scene.new()
    await scene.store.draft(new, WORKER)
    await scene.store.append(new.id, 0, [NewItem(b"{}")])
    with pytest.raises(Conflict):
        await scene.store.accept(new.id, 1, Quota(unended_batches=0))
    assert await scene.store.batches("w") == ([], 0)
    await scene.store.discard(new.id)
    while new.id not in await scene.store.sweep_erased():
        pass
