"""A batch never costs more than it may: what a claim reserves, what is given back, and when there is no more."""

from typing import Any

import pytest

from covey.domain.batch import BatchState, StopReason
from covey.domain.run import Failed, Outcome, Retry, Returned, Succeeded
from covey.domain.usage import Prices

from .conftest import WORKER, Scene, numbers, seqs

SECONDS = Prices(item=100, second=10)
"""An item of ten seconds costs 200."""

GOOD = Succeeded("good", {}, 10.0)
DEAR = Succeeded("good", {}, 1000.0)


async def priced(scene: Scene, items: int, max_cost: int | None, run_cost: int = 300, **facts: Any) -> str:
    """A batch that may cost so much, of runs that cost so much at most."""
    return await scene.submit(items, prices=SECONDS, max_cost=max_cost, run_cost=run_cost, **facts)


async def spent(scene: Scene, batch: str) -> int:
    return (await scene.counts(batch)).spent


async def test_what_succeeds_is_charged(scene: Scene) -> None:
    batch = await scene.submit(4, prices=Prices(item=1, second=0.5, token_in=0.25, token_out=2))
    for outcome in (Succeeded("good", {}, 3.0, 10, 7), Failed("bad", ""), Succeeded("good", {}, 0.5)):
        await scene.one(outcome)
    # 1 + 1.5 + 2.5 + 14, and 1.25, rounded up.
    assert await spent(scene, batch) == 19 + 2
    found = await scene.store.batch(batch)
    assert (found.max_cost, found.run_cost) == (None, 0)


async def test_a_claim_reserves_what_its_runs_may_cost(scene: Scene) -> None:
    batch = await priced(scene, 10, max_cost=1000)
    found = await scene.store.batch(batch)
    assert (found.max_cost, found.run_cost) == (1000, 300)
    assert seqs(await scene.take()) == [0, 1, 2]
    assert (await scene.store.batch(batch)).next_at is None
    assert await scene.claim() is None


async def test_what_was_not_used_is_given_back(scene: Scene) -> None:
    batch = await priced(scene, 10, max_cost=1000)
    portion = await scene.take()
    await scene.finish(portion, GOOD, seqs=[0])
    assert await scene.claim() is None, "1000 - 200 - 2 * 300 is no room for one more"
    await scene.finish(portion, GOOD, seqs=[1])
    assert seqs(await scene.take()) == [3], "1000 - 2 * 200 - 300 is"
    await scene.finish(portion, Failed("bad", ""), seqs=[2])
    assert seqs(await scene.take()) == [4], "what failed costs nothing"
    assert await spent(scene, batch) == 400


@pytest.mark.parametrize("last", [GOOD, DEAR])
async def test_the_batch_stops_with_the_run_after_which_nothing_fits(scene: Scene, last: Outcome) -> None:
    batch = await priced(scene, 10, max_cost=700)
    portion = await scene.take()
    assert seqs(portion) == [0, 1]
    await scene.finish(portion, DEAR, seqs=[0])
    assert (await scene.store.batch(batch)).state is BatchState.running, "the other may give something back"
    report = await scene.finish(portion, last, seqs=[1])
    if last is GOOD:
        assert report.ended == (batch,)
    found = await scene.store.batch(batch)
    assert (found.state, found.stop_reason) == (BatchState.canceled, StopReason.budget)
    assert found.stop_message
    assert numbers(found.counts) == (0, 0, 2, 0, 8)
    assert found.counts.spent == (500 if last is GOOD else 600), "a run costs at most what was reserved for it"
    assert [event.type for event in await scene.store.history(batch)][-2:] == ["stopped", "canceled"]


async def test_a_batch_that_cannot_pay_for_one_item_never_starts(scene: Scene) -> None:
    batch = await priced(scene, 2, max_cost=299)
    assert await scene.claim() is None
    found = await scene.store.batch(batch)
    assert (found.state, found.stop_reason) == (BatchState.canceled, StopReason.budget)
    assert found.started_at is None


async def test_nor_does_one_that_was_paused_meanwhile(scene: Scene) -> None:
    batch = await priced(scene, 2, max_cost=299)
    await scene.store.pause("w", batch, "p")
    assert await scene.claim() is None
    await scene.store.resume("w", batch)
    assert await scene.claim() is None
    assert (await scene.store.batch(batch)).stop_reason is StopReason.budget


async def test_money_that_lasts_to_the_end_stops_nothing(scene: Scene) -> None:
    batch = await priced(scene, 2, max_cost=600)
    await scene.finish(await scene.take(), DEAR)
    found = await scene.store.batch(batch)
    assert (found.state, found.stop_reason, found.counts.spent) == (BatchState.completed, None, 600)


async def test_what_is_tried_again_or_given_back_costs_nothing(scene: Scene) -> None:
    batch = await priced(scene, 1, max_cost=300, max_tries=2)
    await scene.one(Returned("not_started"))
    await scene.one(Retry(scene.now, Failed("busy", "")))
    assert await spent(scene, batch) == 0
    await scene.one(GOOD)
    found = await scene.store.batch(batch)
    assert (found.state, found.counts.spent) == (BatchState.completed, 200)


async def test_deferred_items_are_what_a_budget_stops_too(scene: Scene) -> None:
    batch = await priced(scene, 2, max_cost=500, max_tries=2)
    await scene.one(Retry(scene.after(60), Failed("busy", "")))
    await scene.one(DEAR)
    found = await scene.store.batch(batch)
    assert (found.stop_reason, numbers(found.counts)) == (StopReason.budget, (0, 0, 1, 0, 1))


async def test_the_smaller_of_money_and_cap_counts(scene: Scene) -> None:
    batch = await priced(scene, 10, max_cost=1200, cap=2)
    assert seqs(await scene.take()) == [0, 1]
    await scene.store.adjust("w", batch, {"cap": 9})
    assert seqs(await scene.take()) == [2, 3]
    assert await scene.claim() is None


async def test_forty_at_once_never_pass_the_most(scene: Scene) -> None:
    batch = await priced(scene, 200, max_cost=40 * 300 + 7, repeatable=True)
    bites = []
    while (portion := await scene.claim(7)) is not None:
        bites.append(portion)
    assert (await scene.counts(batch)).active == 40
    rounds = 0
    while bites:
        portion = bites.pop(0)
        for n, run in enumerate(portion.runs):
            await scene.finish(portion, (DEAR, GOOD, Failed("bad", ""))[(n + rounds) % 3], seqs=[run.seq])
            counts = await scene.counts(batch)
            assert counts.spent + counts.active * 300 <= 40 * 300 + 7
            if (more := await scene.claim(7)) is not None:
                bites.append(more)
        rounds += 1
    found = await scene.store.batch(batch)
    assert found.stop_reason is StopReason.budget
    assert 40 * 300 + 7 - found.counts.spent < 300, "all that fitted was started"


async def test_what_was_reserved_for_a_lost_run_is_given_back(scene: Scene) -> None:
    await priced(scene, 3, max_cost=600, repeatable=True)
    await scene.store.enlist("doomed")
    portion = await scene.take(1)
    await scene.take(1, worker="doomed")
    await scene.finish(portion, DEAR)
    assert await scene.claim() is None
    await scene.bury("doomed")
    while await scene.store.settle("doomed", {}):
        pass
    assert seqs(await scene.take()) == [1]


async def test_late_truth_costs_at_most_what_is_left(scene: Scene) -> None:
    batch = await priced(scene, 4, max_cost=700)
    await scene.store.enlist("slow")
    slow = await scene.take(1, worker="slow")
    await scene.bury("slow")
    while await scene.store.settle("slow", {}):
        pass
    assert await spent(scene, batch) == 0
    portion = await scene.take()
    assert seqs(portion) == [1, 2]
    await scene.finish(slow, DEAR, worker="slow")
    assert await spent(scene, batch) == 100, "600 of 700 are reserved"
    await scene.finish(portion, DEAR)
    found = await scene.store.batch(batch)
    assert (found.counts.spent, found.stop_reason) == (700, StopReason.budget)


async def test_late_truth_may_take_the_last_money(scene: Scene) -> None:
    batch = await priced(scene, 2, max_cost=500)
    await scene.store.enlist("slow")
    slow = await scene.take(1, worker="slow")
    await scene.bury("slow")
    while await scene.store.settle("slow", {}):
        pass
    report = await scene.finish(slow, DEAR, worker="slow")
    assert report.ended == (batch,)
    found = await scene.store.batch(batch)
    assert (found.counts.spent, found.stop_reason) == (300, StopReason.budget)
    assert await scene.store.in_hand(WORKER) == []
