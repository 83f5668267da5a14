"""Endpoints, and their deliveries: claimed when due, settled, sent again, swept."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from covey.domain.account import Workspace
from covey.domain.errors import Conflict, NotFound
from covey.domain.webhook import DeliveryState, Endpoint
from covey.store.operations.deliveries import AT_ONCE, FAILING_WITHIN, LATE_COMERS, LOOKED_AT_EVERY, QUICK_AT_ONCE
from covey.store.operations.endpoints import ORPHANED
from covey.store.results import Due, Tried
from tests.conformance.listening import change, listens, new_endpoint, tell

from .conftest import Scene

LEASE = timedelta(seconds=45)
FINE = Tried(200, None, None)
GONE = Tried(410, "410 Gone", None, gone=True)
SKIPPED = Tried(None, None, None)


async def claim(scene: Scene, limit: int = 100, busy: dict[str, int] | None = None) -> list[Due]:
    return await scene.store.claim_deliveries(LEASE, limit, busy or {})


def refused(scene: Scene, seconds: float | None) -> Tried:
    """A try that failed; the next one is in so many seconds, if there is one."""
    return Tried(503, "503 Service Unavailable", None if seconds is None else scene.after(seconds))


async def the(scene: Scene, name: str = "hook") -> Endpoint:
    return await scene.store.endpoint("w", name)


async def test_an_endpoint_is_kept_as_it_was_given(scene: Scene) -> None:
    sealed = ((b"\x00new", None), (b"\xffold", scene.after(60)))
    first = new_endpoint(scene, kind="kind", singles=True, description="ours")
    given = replace(first, secrets=sealed)
    assert await scene.store.put_endpoint(given) == given
    assert await the(scene) == given
    scene.clock.advance(60)
    await listens(scene, "later", url="https://example.org/")
    await listens(scene, "elsewhere", workspace="v")
    assert [one.id for one in await scene.store.endpoints("w")] == ["hook", "later"]
    assert await scene.store.put_endpoint(new_endpoint(scene, url="https://example.net/")) == given, "it is there"
    facts: dict[str, Any] = {
        "url": "https://example.net/", "description": "theirs", "events": ("item.failed",), "singles": False,
        "secrets": sealed[:1], "off_at": scene.now, "off_reason": "By hand",
    }  # fmt: skip
    assert await change(scene, **facts) == await the(scene) == replace(given, **facts)
    for workspace, name in (("v", "hook"), ("w", "nothing")):
        with pytest.raises(NotFound):
            await scene.store.endpoint(workspace, name)
        with pytest.raises(NotFound):
            await scene.store.delete_endpoint(workspace, name)
        with pytest.raises(NotFound):
            await scene.store.change_endpoint(workspace, name, lambda held: held)
    with pytest.raises(NotFound):
        await scene.store.put_endpoint(new_endpoint(scene, workspace="v"))


async def test_changes_at_the_same_moment_lose_nothing(scene: Scene) -> None:
    await listens(scene)
    await tell(scene, 1)
    [due] = await claim(scene)
    names = [b"%d" % n for n in range(12)]

    async def add(name: bytes) -> None:
        await scene.store.change_endpoint(
            "w", "hook", lambda held: replace(held, secrets=((name, None), *held.secrets))
        )

    await asyncio.gather(
        *(add(name) for name in names[:6]),
        scene.store.settle_deliveries([(due.delivery.id, GONE)]),
        *(add(name) for name in names[6:]),
        change(scene, description="theirs"),
    )
    held = await the(scene)
    assert {name for name, _ in held.secrets} == {*names, b"sealed"}
    assert held.description == "theirs"
    assert held.off_at == scene.now, "it answered 410 meanwhile"


async def test_whoever_makes_one_that_is_there_gets_what_is_there(scene: Scene) -> None:
    ours = [replace(new_endpoint(scene), secrets=((b"%d" % n, None),)) for n in range(8)]
    made = await asyncio.gather(*(scene.store.put_endpoint(each) for each in ours))
    assert len({one.secrets for one in made}) == 1
    assert await the(scene) == made[0]


async def test_a_workspace_has_so_many_endpoints_and_no_more(scene: Scene) -> None:
    await scene.store.add_workspace(Workspace("w", "", scene.now))
    batch = await scene.submit(1)
    await listens(scene, "callbacks", url="", events=())
    await listens(scene, "own", batch=batch)
    new = [new_endpoint(scene, f"hook {n}") for n in range(8)]
    made = await asyncio.gather(*(scene.store.put_endpoint(each, 3) for each in new), return_exceptions=True)
    refused = [each for each in made if isinstance(each, Conflict)]
    assert len(refused) == 5
    assert {(each.code, "3 webhook endpoints" in each.message) for each in refused} == {("too_many_endpoints", True)}
    first, *others = [each.id for each in await scene.store.endpoints("w") if each.id != "callbacks"]
    assert len(others) == 2
    await change(scene, first, off_at=scene.now, off_reason="By hand")
    with pytest.raises(Conflict):
        await scene.store.put_endpoint(new_endpoint(scene, "next"), 3)
    await scene.store.put_endpoint(new_endpoint(scene, "elsewhere", workspace="v"), 3)
    await scene.store.delete_endpoint("w", first)
    await scene.store.put_endpoint(new_endpoint(scene, "next"), 3)


async def test_what_is_claimed_is_due_again_after_its_lease(scene: Scene) -> None:
    await listens(scene)
    await tell(scene, 2)
    first = await claim(scene)
    assert {one.delivery.type for one in first} == {"batch.paused", "batch.resumed"}
    assert {(one.endpoint.id, one.delivery.attempts, one.delivery.next_at) for one in first} == {
        ("hook", 1, scene.now + LEASE)
    }
    assert await claim(scene) == []
    scene.clock.advance(LEASE.total_seconds())
    again = await claim(scene)
    assert {one.delivery.id for one in again} == {one.delivery.id for one in first}
    assert {one.delivery.attempts for one in again} == {2}


async def test_an_endpoint_has_a_few_on_their_way_and_keeps_no_other_waiting(scene: Scene) -> None:
    await listens(scene, "crowded")
    await tell(scene, 30)
    scene.clock.advance(1)
    await listens(scene, "quiet", workspace="v")
    await tell(scene, 2, "v")
    assert Counter(one.endpoint.id for one in await claim(scene, 2)) == {"crowded": 1, "quiet": 1}
    assert Counter(one.endpoint.id for one in await claim(scene, 9, {"crowded": 1, "quiet": 1})) == {
        "crowded": AT_ONCE - 1,
        "quiet": 1,
    }
    assert await claim(scene, 9, {"crowded": AT_ONCE, "gone": 2}) == []


async def test_one_that_fails_has_one_on_its_way_and_its_turn_last(scene: Scene) -> None:
    await listens(scene, "failing")
    await tell(scene, 10)
    await scene.store.settle_deliveries([((await claim(scene, 1))[0].delivery.id, refused(scene, 60))])
    await listens(scene, "fine", workspace="v")
    await tell(scene, 1, "v")
    assert [one.endpoint.id for one in await claim(scene, 1)] == ["fine"]
    assert await claim(scene, 16, {"others": FAILING_WITHIN}) == []
    assert [one.endpoint.id for one in await claim(scene, 16)] == ["failing"]


async def test_nobody_claims_what_another_has(scene: Scene) -> None:
    for n in range(8):
        await listens(scene, f"hook {n}", workspace=f"w{n}")
        await tell(scene, 12, f"w{n}")
    claims = await asyncio.gather(*(claim(scene, 8) for _ in range(12)))
    ids = [one.delivery.id for claimed in claims for one in claimed]
    assert len(ids) == len(set(ids))
    while more := await claim(scene):
        ids += [one.delivery.id for one in more]
    assert len(ids) == len(set(ids)) == 8 * 12


async def test_what_is_accepted_is_delivered(scene: Scene) -> None:
    await listens(scene)
    await tell(scene, 1)
    [due] = await claim(scene)
    await scene.store.settle_deliveries([(due.delivery.id, refused(scene, 5))])
    waiting = await scene.store.delivery("w", due.delivery.id)
    assert (waiting.state, waiting.next_at, waiting.status, waiting.error) == (
        DeliveryState.waiting, scene.after(5), 503, "503 Service Unavailable",
    )  # fmt: skip
    assert (await the(scene)).failing_since == scene.now
    scene.clock.advance(5)
    [again] = await claim(scene)
    await scene.store.settle_deliveries([(again.delivery.id, FINE)])
    done = await scene.store.delivery("w", due.delivery.id)
    assert (done.state, done.attempts, done.status, done.error, done.ended_at, done.next_at) == (
        DeliveryState.delivered, 2, 200, None, scene.now, None,
    )  # fmt: skip
    assert ((await the(scene)).failing_since, (await the(scene)).delivered_at) == (None, scene.now)
    await scene.store.settle_deliveries([(due.delivery.id, refused(scene, 5))])
    assert await scene.store.delivery("w", due.delivery.id) == done
    assert (await the(scene)).failing_since is None
    with pytest.raises(NotFound):
        await scene.store.delivery("v", due.delivery.id)


async def test_what_was_not_asked_for_says_nothing_about_its_endpoint(scene: Scene) -> None:
    await listens(scene)
    await tell(scene, 3)
    failing, *others = await claim(scene)
    await scene.store.settle_deliveries([(failing.delivery.id, refused(scene, 5 * 86400))])
    before = await the(scene)
    assert before.failing_since == scene.now
    scene.clock.advance(5)
    await scene.store.settle_deliveries([(due.delivery.id, SKIPPED) for due in others])
    for due in others:
        skipped = await scene.store.delivery("w", due.delivery.id)
        assert (skipped.state, skipped.status, skipped.error, skipped.attempts, skipped.next_at) == (
            DeliveryState.delivered, None, None, 0, None,
        )  # fmt: skip
        assert skipped.ended_at == scene.now
    assert await the(scene) == before
    await scene.store.settle_deliveries([(due.delivery.id, SKIPPED) for due in others])
    assert (await scene.store.delivery("w", others[0].delivery.id)).attempts == 0, "it has ended"
    scene.clock.advance(5 * 86400)
    [again] = await claim(scene)
    await scene.store.settle_deliveries([(again.delivery.id, refused(scene, 5))])
    assert (await the(scene)).off_reason == "The receiver accepted nothing for 5 days"


async def test_what_is_not_tried_again_has_failed_and_can_be_sent_again(scene: Scene) -> None:
    await listens(scene)
    began = scene.now
    await tell(scene, 3)
    for due in await claim(scene):
        await scene.store.settle_deliveries([(due.delivery.id, refused(scene, None))])
    failed = await scene.store.deliveries("w", state=DeliveryState.failed)
    assert [(one.ended_at, one.next_at) for one in failed] == [(began, None)] * 3
    scene.clock.advance(60)
    assert await scene.store.send_again("w", "hook", scene.now) == 0
    one = failed[0].id
    assert await scene.store.send_one_again("w", "hook", one) == 1
    assert await scene.store.send_again("w", "hook", began) == 2
    assert await scene.store.send_again("w", "hook", began) == 0
    sent = [due.delivery.id for _ in range(3) for due in await claim(scene)]
    assert sorted(sent) == sorted(one.id for one in failed)
    await scene.store.settle_deliveries([(one, FINE)])
    assert await scene.store.send_one_again("w", "hook", one) == 1
    assert (await scene.store.delivery("w", one)).state is DeliveryState.waiting
    for endpoint, delivery in (("nothing", one), ("hook", "0" * 24)):
        with pytest.raises(NotFound):
            await scene.store.send_one_again("w", endpoint, delivery)


async def test_one_that_is_gone_is_switched_off_with_all_that_waits(scene: Scene) -> None:
    await listens(scene)
    await tell(scene, 3)
    [due] = await claim(scene, 1)
    await scene.store.settle_deliveries([(due.delivery.id, GONE)])
    off = await the(scene)
    assert off.off_at == scene.now
    assert off.off_reason is not None
    assert "410" in off.off_reason
    assert {one.state for one in await scene.store.deliveries("w")} == {DeliveryState.failed}
    await tell(scene, 3)
    assert len(await scene.store.deliveries("w")) == 3, "it is told nothing more"
    with pytest.raises(Conflict, match="switched off"):
        await scene.store.send_again("w", "hook", scene.now)
    on = await change(scene, off_at=None, off_reason=None, failing_since=None)
    assert on == await the(scene)
    assert (on.off_at, on.off_reason, on.failing_since) == (None, None, None)
    assert await scene.store.send_again("w", "hook", scene.now) == 3


async def test_one_without_a_success_for_too_long_is_switched_off(scene: Scene) -> None:
    await listens(scene)
    await tell(scene, 1)
    for day in range(6):
        assert (await the(scene)).off_at is None, f"off after {day} days"
        [due] = await claim(scene)
        await scene.store.settle_deliveries([(due.delivery.id, refused(scene, 86400))])
        scene.clock.advance(86400)
    off = await the(scene)
    assert off.off_at == scene.now - timedelta(days=1)
    assert off.off_reason == "The receiver accepted nothing for 5 days"
    assert await claim(scene) == []


async def test_pages_are_newest_first(scene: Scene) -> None:
    for name in ("a", "b"):
        await listens(scene, name)
    batch = await scene.submit(1)
    for n in range(6):
        await (scene.store.resume("w", batch) if n % 2 else scene.store.pause("w", batch, "p"))
        scene.clock.advance(1)
    other = await scene.submit(1)
    await scene.store.pause("w", other, "p")
    seen = [one.id for one in await scene.store.deliveries("w")]
    assert len(seen) == 14
    assert seen == sorted(seen, reverse=True)
    rest = await scene.store.deliveries("w", before=seen[4], limit=5)
    assert [one.id for one in rest] == seen[5:10]
    assert len(await scene.store.deliveries("w", endpoint="a")) == 7
    assert len(await scene.store.deliveries("w", batch=other)) == 2
    assert len(await scene.store.deliveries("w", batch=other, endpoint="a")) == 1
    assert await scene.store.deliveries("w", state=DeliveryState.delivered) == []
    assert await scene.store.deliveries("v", endpoint="a") == []
    assert await scene.store.deliveries("v", batch=batch) == []


async def test_a_deleted_endpoint_is_gone_at_once_and_its_deliveries_in_pieces(scene: Scene) -> None:
    await listens(scene)
    await tell(scene, 5)
    [due, *_] = await claim(scene, 1)
    await scene.store.delete_endpoint("w", "hook")
    assert await scene.store.deliveries("w") == []
    await scene.store.settle_deliveries([(due.delivery.id, FINE)])
    assert await claim(scene) == []
    with pytest.raises(NotFound):
        await the(scene)
    with pytest.raises(NotFound):
        await listens(scene)
    assert [await scene.store.sweep_deliveries(scene.now, 2) for _ in range(4)] == [2, 2, 1, 0]
    scene.clock.advance(LATE_COMERS.total_seconds())
    assert await scene.store.sweep_deliveries(scene.now, 2) == 0
    await listens(scene)
    assert await scene.store.deliveries("w") == []


async def test_what_waits_for_an_endpoint_that_was_switched_off_is_given_up_in_pieces(scene: Scene) -> None:
    await listens(scene)
    await tell(scene, 5)
    await change(scene, off_at=scene.now, off_reason="By hand")
    assert [await scene.store.sweep_deliveries(scene.now, 3) for _ in range(3)] == [3, 2, 0]
    page = await scene.store.deliveries("w")
    assert {(one.state, one.error) for one in page} == {(DeliveryState.failed, "The endpoint was switched off")}


async def test_what_ended_long_ago_is_swept(scene: Scene) -> None:
    await listens(scene)
    await tell(scene, 3)
    ended, evicted, waiting = await claim(scene)
    await scene.store.settle_deliveries([(ended.delivery.id, FINE)])
    await scene.store.settle_deliveries([(evicted.delivery.id, refused(scene, None))])
    await scene.store.settle_deliveries([(waiting.delivery.id, refused(scene, 5))])
    scene.clock.advance(60)
    assert await scene.store.sweep_deliveries(scene.after(-60)) == 0
    assert [await scene.store.sweep_deliveries(scene.now, 1) for _ in range(3)] == [1, 1, 0]
    assert [one.id for one in await scene.store.deliveries("w")] == [waiting.delivery.id]


async def test_what_was_tried_together_is_written_down_together(scene: Scene) -> None:
    for name in ("fine", "mixed", "down"):
        await listens(scene, name)
    await tell(scene, 2)
    due = sorted(await claim(scene), key=_by_endpoint)
    assert [one.endpoint.id for one in due] == ["down"] * 2 + ["fine"] * 2 + ["mixed"] * 2
    no = refused(scene, 5)
    tries = [(one.delivery.id, tried) for one, tried in zip(due, (no, no, FINE, FINE, FINE, no), strict=True)]
    await scene.store.settle_deliveries([*tries, ("0" * 24, FINE)])
    for id_, tried in tries:
        wanted = DeliveryState.delivered if tried is FINE else DeliveryState.waiting
        assert (await scene.store.delivery("w", id_)).state is wanted
    assert (await the(scene, "fine")).delivered_at == scene.now
    assert (await the(scene, "mixed")).failing_since is None, "it accepted something at the same moment"
    assert (await the(scene, "mixed")).delivered_at == scene.now
    assert (await the(scene, "down")).failing_since == scene.now
    await scene.store.settle_deliveries([])


def _by_endpoint(due: Due) -> str:
    return due.endpoint.id


async def test_one_that_is_quick_has_more_on_their_way_and_one_that_rests_none(scene: Scene) -> None:
    await listens(scene, "quick")
    await listens(scene, "other")
    await listens(scene, "resting")
    await tell(scene, 20)
    taken = await scene.store.claim_deliveries(
        LEASE, 100, {"quick": 3, "resting": 0}, quick={"quick"}, resting={"resting"}
    )
    assert Counter(one.endpoint.id for one in taken) == {"quick": QUICK_AT_ONCE - 3, "other": AT_ONCE}


async def test_the_endpoint_of_a_batch_that_never_came_goes_after_an_hour(scene: Scene) -> None:
    batch = await scene.submit(1)
    await listens(scene, "there", batch=batch)
    await listens(scene, "never", batch="0" * 24)
    await listens(scene, "usual")
    scene.clock.advance(ORPHANED.total_seconds() - 1)
    await scene.store.sweep_deliveries(scene.now)
    assert (await the(scene, "never")).id == "never"
    scene.clock.advance(1)
    await scene.store.sweep_deliveries(scene.now)
    with pytest.raises(NotFound):
        await the(scene, "never")
    assert [(await the(scene, name)).id for name in ("there", "usual")] == ["there", "usual"]
    scene.clock.advance(LATE_COMERS.total_seconds())
    await scene.store.sweep_deliveries(scene.now)
    await listens(scene, "never")


async def test_what_waits_of_a_deleted_batch_is_still_delivered(scene: Scene) -> None:
    await listens(scene)
    batch = await scene.submit(1)
    await listens(scene, "own", batch=batch)
    await scene.store.pause("w", batch, "p")
    before = {due.endpoint.id: due.delivery.id for due in await claim(scene)}
    await scene.store.settle_deliveries([(id_, FINE) for id_ in before.values()])
    await scene.store.resume("w", batch)
    evicted = [due.delivery.id for due in await claim(scene)]
    await scene.store.settle_deliveries([(id_, refused(scene, None)) for id_ in evicted])
    await scene.stop(batch)
    ends = {due.endpoint.id: due.delivery.id for due in await claim(scene)}
    await scene.store.settle_deliveries([(id_, refused(scene, 3600)) for id_ in ends.values()])
    await scene.store.erase_batch("w", batch)
    while batch not in await scene.store.sweep_erased(1):
        pass
    await scene.store.sweep_deliveries(scene.after(-1))
    left = await scene.store.deliveries("w", batch=batch)
    assert {one.id for one in left} == set(ends.values()), "what had ended went with the batch"

    scene.clock.advance(3600)
    await scene.store.sweep_deliveries(scene.after(-7200))
    due = await claim(scene)
    assert {one.endpoint.id: one.delivery.id for one in due} == ends
    assert {one.delivery.data["counts"]["canceled"] for one in due} == {1}
    await scene.store.settle_deliveries([(one.delivery.id, FINE) for one in due])
    assert {(await scene.store.delivery("w", id_)).state for id_ in ends.values()} == {DeliveryState.delivered}
    scene.clock.advance(LOOKED_AT_EVERY.total_seconds())
    await scene.store.sweep_deliveries(scene.after(-7200))
    with pytest.raises(NotFound):
        await the(scene, "own")
    assert (await the(scene)).id == "hook"
    assert [one.id for one in await scene.store.deliveries("w")] == [ends["hook"]]


@pytest.mark.parametrize("tried", [FINE, GONE, Tried(503, "503", None)], ids=["delivered", "gone", "given up"])
async def test_the_endpoint_of_a_deleted_batch_goes_with_its_last_delivery(scene: Scene, tried: Tried) -> None:
    batch = await scene.submit(1)
    await listens(scene, "own", batch=batch)
    await scene.stop(batch)
    await scene.store.erase_batch("w", batch)
    while batch not in await scene.store.sweep_erased():
        pass
    for _ in range(3):
        scene.clock.advance(LOOKED_AT_EVERY.total_seconds())
        await scene.store.sweep_deliveries(scene.after(-7200))
    [due] = await claim(scene)
    assert due.endpoint.id == "own"
    await scene.store.settle_deliveries([(due.delivery.id, tried)])
    scene.clock.advance(LOOKED_AT_EVERY.total_seconds())
    await scene.store.sweep_deliveries(scene.after(-7200))
    with pytest.raises(NotFound):
        await the(scene, "own")
    assert await scene.store.sweep_deliveries(scene.after(-7200)) == 1, "its delivery goes too"
    scene.clock.advance(LATE_COMERS.total_seconds())
    await scene.store.sweep_deliveries(scene.after(-7200))
    await listens(scene, "own")


async def test_an_endpoint_that_was_off_goes_with_its_batch(scene: Scene) -> None:
    batch = await scene.submit(1)
    await listens(scene, "own", batch=batch)
    await scene.store.pause("w", batch, "p")
    [due] = await claim(scene)
    await scene.store.settle_deliveries([(due.delivery.id, GONE)])
    scene.clock.advance(LATE_COMERS.total_seconds())
    await scene.store.sweep_deliveries(scene.after(-7200))
    await scene.stop(batch)
    assert (await the(scene, "own")).off_at is not None
    await scene.store.erase_batch("w", batch)
    while batch not in await scene.store.sweep_erased():
        pass
    await scene.store.sweep_deliveries(scene.after(-7200))
    with pytest.raises(NotFound):
        await the(scene, "own")
