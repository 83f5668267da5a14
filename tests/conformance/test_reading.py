"""Looking: lists, filters, pages, items in every state; counts and page from one snapshot."""

from dataclasses import replace
from typing import Any

import pytest

from covey.domain.batch import BatchState, StopReason
from covey.domain.errors import NotFound
from covey.domain.item import ItemState
from covey.domain.lane import Lane
from covey.domain.run import Aborted, Failed, Outcome, Retry, Succeeded

from .conftest import Scene, refs

# Item n of the mixed batch ends as ENDS[n] says; after them come items that were never claimed.
ENDS = "sfcdassfda"
BY_LETTER = {"s": ItemState.succeeded, "f": ItemState.failed, "c": ItemState.canceled, "a": ItemState.active}
TOTAL = 15


async def mixed(scene: Scene, *, stopped: bool) -> tuple[str, list[ItemState]]:
    """A batch with items in every state, and the state of each."""
    batch = await scene.submit(TOTAL, max_tries=3)
    portion = await scene.take(len(ENDS))
    for seq, letter in enumerate(ENDS):
        outcomes: dict[str, Outcome] = {
            "s": Succeeded("good"),
            "f": Failed("bad", ""),
            "c": Aborted("aborted"),
            "d": Retry(scene.after(600), Failed("busy", "")),
        }
        outcome = outcomes.get(letter)
        if outcome is not None:
            await scene.finish(portion, outcome, seqs=[seq])
    if stopped:
        await scene.stop(batch)
    rest = ItemState.canceled if stopped else ItemState.waiting
    return batch, [BY_LETTER.get(letter, rest) for letter in ENDS] + [rest] * (TOTAL - len(ENDS))


@pytest.mark.parametrize("stopped", [False, True])
async def test_every_item_is_listed_in_its_state_and_in_order(scene: Scene, *, stopped: bool) -> None:
    batch, states = await mixed(scene, stopped=stopped)
    found, items = await scene.store.items(batch)
    assert [(item.seq, item.state) for item in items] == list(enumerate(states))
    assert [item.batch for item in items] == [batch] * TOTAL
    for state in ItemState:
        assert getattr(found.counts, state.value) == states.count(state)


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("state", [None, *ItemState])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
async def test_pages_of_any_filter_make_the_whole_list(
    scene: Scene, *, stopped: bool, state: ItemState | None, size: int
) -> None:
    batch, states = await mixed(scene, stopped=stopped)
    wanted = [seq for seq, one in enumerate(states) if state in (None, one)]

    by_offset: list[int] = []
    while page := (await scene.store.items(batch, state, offset=len(by_offset), limit=size))[1]:
        assert len(page) <= size
        by_offset += [item.seq for item in page]
    assert by_offset == wanted

    by_cursor: list[int] = []
    after = -1
    while page := (await scene.store.items(batch, state, after=after, limit=size))[1]:
        by_cursor += [item.seq for item in page]
        after = by_cursor[-1]
    assert by_cursor == wanted


async def test_an_item_is_read_with_all_its_runs(scene: Scene) -> None:
    batch = await scene.submit(refs("r"), max_tries=3)
    await scene.one(Retry(scene.now, Failed("busy", "first", {"n": 1})))
    scene.clock.advance(1)
    await scene.one(Retry(scene.now, Failed("busy", "second", {"n": 2})))
    scene.clock.advance(1)
    portion = await scene.take()
    active = await scene.store.item(batch, 0)
    assert (active.state, active.tries, active.started_at, active.last) == (ItemState.active, 2, scene.now, None)
    assert [(run.attempt, run.message, run.result) for run in active.earlier] == [
        (1, "first", {"n": 1}),
        (2, "second", {"n": 2}),
    ]
    await scene.finish(portion, Succeeded("good", {"n": 3}, 4.0))
    item = await scene.store.item(batch, 0)
    assert item.last is not None
    assert (item.tries, item.last.attempt, item.last.result, len(item.earlier)) == (3, 3, {"n": 3}, 2)


async def test_an_item_that_is_not_there(scene: Scene) -> None:
    batch = await scene.submit(2)
    for id_, seq in ((batch, 2), (batch, -1), (scene.new().id, 0), ("nonsense", 0)):
        with pytest.raises(NotFound):
            await scene.store.item(id_, seq)


async def test_a_deferred_item_says_when_and_why(scene: Scene) -> None:
    batch = await scene.submit(2, max_tries=3)
    await scene.one(Retry(scene.after(30), Failed("busy", "")))
    item = await scene.store.item(batch, 0)
    assert (item.state, item.due_at, item.reason, item.tries) == (ItemState.waiting, scene.after(30), "busy", 1)
    await scene.stop(batch)
    item = await scene.store.item(batch, 0)
    assert (item.state, item.due_at, item.reason) == (ItemState.canceled, None, None)


async def test_a_batch_is_not_found_for_another_workspace(scene: Scene) -> None:
    batch = await scene.submit(1)
    assert (await scene.store.batch(batch, "w")).id == batch
    for id_, workspace in ((batch, "other"), (scene.new().id, "w"), ("nonsense", None), (batch.upper(), "w")):
        with pytest.raises(NotFound):
            await scene.store.batch(id_, workspace)


async def in_every_state(scene: Scene) -> dict[BatchState, str]:
    """A batch in every state, the oldest first, each of a second of its own."""
    made: dict[BatchState, str] = {}

    async def new(state: BatchState, items: int = 2, **facts: Any) -> str:
        scene.clock.advance(1)
        made[state] = await scene.submit(items, lane=f"lane-{state.value}", kind=f"k{len(made) % 2}", **facts)
        await scene.store.put_lane(lane_of(state))
        return made[state]

    async def started(state: BatchState) -> None:
        await new(state)
        await scene.take(1, lane=f"lane-{state.value}")

    await new(BatchState.scheduled, start_at=scene.after(3600))
    await new(BatchState.queued)
    await started(BatchState.running)
    await started(BatchState.paused)
    await scene.store.pause("w", made[BatchState.paused], "p")
    await started(BatchState.stopping)
    await scene.stop(made[BatchState.stopping])
    for state, reason in (
        (BatchState.canceled, StopReason.budget),
        (BatchState.expired, StopReason.expire),
        (BatchState.failed, StopReason.fail),
    ):
        await scene.store.stop("w", await new(state), reason)
    await new(BatchState.completed, 1)
    await scene.one(Succeeded("good"), lane="lane-completed")
    return made


def lane_of(state: BatchState) -> Lane:
    return Lane(f"lane-{state.value}", 5)


async def test_batches_are_listed_newest_first_and_by_state(scene: Scene) -> None:
    made = await in_every_state(scene)
    assert set(made) == set(BatchState)
    newest_first = list(reversed(made.values()))
    found, total = await scene.store.batches("w")
    assert ([batch.id for batch in found], total) == (newest_first, 9)
    for state, id_ in made.items():
        found, total = await scene.store.batches("w", states=[state])
        assert ([(batch.id, batch.state) for batch in found], total) == ([(id_, state)], 1)
    two = [BatchState.queued, BatchState.failed]
    found, total = await scene.store.batches("w", states=two)
    assert ([batch.id for batch in found], total) == ([made[two[1]], made[two[0]]], 2)
    scene.clock.advance(3600)
    assert (await scene.store.batches("w", states=[BatchState.scheduled]))[1] == 0
    assert (await scene.store.batches("w", states=[BatchState.queued]))[1] == 2


async def test_batches_are_listed_in_pages_and_by_kind_origin_and_workspace(scene: Scene) -> None:
    made = list(reversed((await in_every_state(scene)).values()))
    pages = [await scene.store.batches("w", offset=offset, limit=4) for offset in (0, 4, 8, 12)]
    assert [batch.id for page, _ in pages for batch in page] == made
    assert {total for _, total in pages} == {9}
    found, total = await scene.store.batches("w", kind="k1", limit=3)
    assert (len(found), total, {batch.kind for batch in found}) == (3, 4, {"k1"})

    scene.clock.advance(1)
    single = await scene.submit(1, origin="single")
    elsewhere = await scene.submit(1, workspace="other")
    assert (await scene.store.batches("w"))[1] == 9
    assert [batch.id for batch in (await scene.store.batches("w", origin="single"))[0]] == [single]
    assert (await scene.store.batches("w", origin=None))[1] == 10
    assert (await scene.store.batches(None, origin=None))[1] == 11
    assert [batch.id for batch in (await scene.store.batches("other"))[0]] == [elsewhere]


async def test_items_by_what_they_are_about(scene: Scene) -> None:
    old = await scene.submit(refs("a", "b", "a"))
    await scene.finish(await scene.take(1))
    scene.clock.advance(2)
    new = await scene.submit(refs("a"))
    await scene.stop(new)
    await scene.submit(refs("a"), workspace="other")
    found = await scene.store.by_ref("w", "a")
    assert [(item.batch, item.seq, item.state.value) for item in found] == [
        (new, 0, "canceled"),
        (old, 0, "succeeded"),
        (old, 2, "waiting"),
    ]
    assert len(await scene.store.by_ref("w", "a", limit=2)) == 2
    assert await scene.store.by_ref("w", "none") == []


async def test_items_by_what_they_are_about_come_in_pages_and_by_state_and_kind(scene: Scene) -> None:
    first = await scene.submit(refs("a", "b", "a", "a"))
    await scene.finish(await scene.take(1))
    await scene.take(1)
    scene.clock.advance(1)
    stopped = await scene.submit(refs("a"), kind="other")
    await scene.stop(stopped)
    await scene.submit(refs("a"), workspace="other")
    look, count = scene.store.by_ref, scene.store.count_by_ref
    everything = [(stopped, 0), (first, 0), (first, 2), (first, 3)]
    pages = [await look("w", "a", 2, offset=offset) for offset in (0, 2, 4)]
    assert [(item.batch, item.seq) for page in pages for item in page] == everything
    assert (await count("w", "a"), await count("w", "none"), await count("w", "a", kind="other")) == (4, 0, 1)
    assert [item.batch for item in await look("w", "a", kind="other")] == [stopped]
    for state in ItemState:
        alike = [item for item in await look("w", "a") if item.state is state]
        assert await look("w", "a", states=[state]) == alike
        assert await count("w", "a", states=[state]) == len(alike)
    assert await count("w", "a", states=[ItemState.succeeded, ItemState.canceled]) == 2


async def test_what_may_be_large_is_left_out_of_what_is_read_bare(scene: Scene) -> None:
    batch = await scene.submit(refs("a", "b"))
    whole, items = await scene.store.items(batch)
    bare, bare_items = await scene.store.items(batch, bare=True)
    assert whole.config == (await scene.store.batch(batch)).config != b""
    assert all(item.input for item in items)
    assert bare == replace(whole, config=b"", read_at=bare.read_at)
    assert bare_items == [replace(item, input=b"") for item in items]
    assert (await scene.store.batch(batch, "w", bare=True)).config == b""
    assert [item.input for item in await scene.store.by_ref("w", "a", bare=True)] == [b""]
    assert [found.config for found in (await scene.store.batches("w"))[0]] == [b""]
    with pytest.raises(NotFound):
        await scene.store.batch(batch, "other", bare=True)


async def test_items_are_totalled_over_the_batches_of_a_kind(scene: Scene) -> None:
    assert set((await scene.store.item_totals("w", "k1")).values()) == {0}
    await scene.submit(5, kind="k1")
    await scene.finish(await scene.take(2))
    await scene.take(1)
    await scene.submit(1, kind="k1", origin="single")
    await scene.submit(7, kind="k2")
    await scene.submit(7, kind="k1", workspace="other")
    totals = await scene.store.item_totals("w", "k1")
    assert totals == {
        ItemState.waiting: 3,
        ItemState.active: 1,
        ItemState.succeeded: 2,
        ItemState.failed: 0,
        ItemState.canceled: 0,
    }


async def test_the_items_that_ended_last_come_newest_first(scene: Scene) -> None:
    batch = await scene.submit(9)
    portion = await scene.take(8)
    outcomes: list[Outcome] = [Succeeded("good"), Failed("bad", ""), Aborted("aborted")]
    order = [5, 2, 7, 0, 3, 1]
    for n, seq in enumerate(order):
        scene.clock.advance(1)
        await scene.finish(portion, outcomes[n % 3], seqs=[seq])
    kept = [seq for n, seq in enumerate(order) if n % 3 != 2]
    assert [item.seq for item in await scene.store.recent(batch)] == kept[::-1]
    assert [item.seq for item in await scene.store.recent(batch, limit=2)] == kept[::-1][:2]


async def test_outcomes_are_counted_by_code(scene: Scene) -> None:
    batch = await scene.submit(6, max_tries=2)
    portion = await scene.take(5)
    await scene.finish(portion, Succeeded("good"), seqs=[0, 1])
    await scene.finish(portion, Failed("bad", ""), seqs=[2])
    await scene.finish(portion, Aborted("aborted"), seqs=[3])
    await scene.finish(portion, Retry(scene.now, Failed("busy", "")), seqs=[4])
    assert await scene.store.outcomes(batch) == {"good": 2, "bad": 1, "aborted": 1}


@pytest.mark.parametrize("state", [ItemState.waiting, ItemState.canceled])
async def test_counts_and_page_are_of_one_moment(scene: Scene, state: ItemState) -> None:
    batch = await scene.submit(30, max_tries=2)
    portion = await scene.take(10)
    await scene.finish(portion, Retry(scene.after(60), Failed("busy", "")), seqs=range(5))
    if state is ItemState.canceled:
        await scene.stop(batch)
    found, items = await scene.store.items(batch, state, limit=100)
    assert getattr(found.counts, state.value) == len(items) == 25
