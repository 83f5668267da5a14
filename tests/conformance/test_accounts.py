"""Workspaces, keys, agents, blocked refs, erased people, once answers."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from covey.domain.account import AgentRecord, Key, RequestFingerprint, Role, StoredResponse, Workspace
from covey.domain.errors import Conflict, NotFound, Unprocessable
from covey.domain.run import Failed, Retry, Succeeded

from .conftest import WORKER, Scene, refs

MEANING = RequestFingerprint("w", "a-key", "POST /batches", b"digest")


async def test_workspaces(scene: Scene) -> None:
    store, one = scene.store, Workspace("one", "One", scene.now, 2.0, {"a": {"b": 1}})
    await store.add_workspace(one)
    assert await store.workspace("one") == one
    with pytest.raises(Conflict) as refused:
        await store.add_workspace(replace(one, name="Other"))
    assert refused.value.code == "exists"
    scene.clock.advance(1)
    two = Workspace("two", "Two", scene.now)
    await store.add_workspace(two)
    assert await store.workspaces() == [one, two]
    changed = replace(one, name="Uno", weight=1.5, settings={})
    await store.change_workspace(changed)
    assert await store.workspace("one") == changed
    for doing in (store.workspace("none"), store.change_workspace(replace(one, id="none"))):
        with pytest.raises(NotFound):
            await doing


async def test_of_two_first_workspaces_one_is_made(scene: Scene) -> None:
    """Two servers find the same database empty."""
    made = [Workspace(name, name, scene.now) for name in ("one", "two", "three", "four")]
    keys = [a_key(scene, f"key-{one.id}", one.id) for one in made]
    tried = await asyncio.gather(*map(scene.store.add_first, made, keys))
    assert sorted(tried) == [False, False, False, True]
    (first,) = await scene.store.workspaces()
    assert first == made[tried.index(True)]
    assert [key.workspace for key in await scene.store.keys()] == [first.id]


def a_key(scene: Scene, name: str, workspace: str | None = "w") -> Key:
    digest = hashlib.sha256(name.encode()).digest()
    return Key(name, workspace, Role.operate, name, f"ck_{name}", digest, scene.now, None, scene.after(60))


async def test_keys(scene: Scene) -> None:
    store, key, admin = scene.store, a_key(scene, "k"), replace(a_key(scene, "adm", None), role=Role.admin)
    await store.add_key(key)
    scene.clock.advance(1)
    await store.add_key(admin)
    assert await store.key_by_digest(key.digest) == key
    assert await store.key_by_digest(b"x" * 32) is None
    assert {one.id for one in await store.keys()} == {"k", "adm"}
    assert [one.id for one in await store.keys("w")] == ["k"]
    assert await store.keys("other") == []

    await store.touch_keys({"k": scene.now, "none": scene.now})
    await store.touch_keys({"k": scene.now - timedelta(hours=1)})
    touched = await store.key_by_digest(key.digest)
    assert touched is not None
    assert touched.last_used_at == scene.now

    assert await store.revoke_key("k")
    assert not await store.revoke_key("k")
    assert not await store.revoke_key("none")
    revoked = await store.key_by_digest(key.digest)
    assert revoked is not None
    assert revoked.revoked_at == scene.now


async def test_agents(scene: Scene) -> None:
    store, agent = scene.store, AgentRecord("a", "w", {"greeting": "hi"}, scene.now, scene.now)
    await store.put_agent(agent)
    await store.put_agent(replace(agent, workspace="other", body={}))
    assert await store.agent("w", "a") == agent
    later = replace(agent, body={"greeting": "hello"}, updated_at=scene.after(5))
    await store.put_agent(later)
    assert await store.agents("w") == [later]
    for doing in (store.agent("w", "none"), store.delete_agent("w", "none"), store.agent("none", "a")):
        with pytest.raises(NotFound):
            await doing
    await store.delete_agent("w", "a")
    assert await store.agents("w") == []
    assert len(await store.agents("other")) == 1


async def test_blocked_refs(scene: Scene) -> None:
    store = scene.store
    assert await store.block("w", ["c", "a", "b", "a"], "asked") == 3
    assert await store.block("w", ["a", "d"], "again") == 1
    assert await store.block("other", ["a"], "asked") == 1
    found = await store.blocked("w")
    assert [(one.ref, one.reason, one.created_at) for one in found] == [
        ("a", "asked", scene.now),
        ("b", "asked", scene.now),
        ("c", "asked", scene.now),
        ("d", "again", scene.now),
    ]
    assert [one.ref for one in await store.blocked("w", after="b", limit=1)] == ["c"]
    assert await store.unblock("w", "a")
    assert not await store.unblock("w", "a")
    assert [one.ref for one in await store.blocked("w")] == ["b", "c", "d"]
    assert [one.ref for one in await store.blocked("other")] == ["a"]


async def test_erasing_a_person_overwrites_what_is_about_them(scene: Scene) -> None:
    batch = await scene.submit(refs("p", "q", "p"), max_tries=2)
    elsewhere = await scene.submit(refs("p"), workspace="other")
    await scene.store.pause("other", elsewhere, "p")
    portion = await scene.take()
    secret = Failed("declined", "They said: secret", {"text": "secret"})
    await scene.finish(portion, Retry(scene.now, secret), seqs=[0])
    await scene.finish(portion, Succeeded("good", {"text": "secret"}), seqs=[1, 2])
    await scene.finish(await scene.take(), secret)

    assert await scene.store.erase_ref("w", "p", "erased-1") == 2
    assert await scene.store.by_ref("w", "p") == []
    for seq in (0, 2):
        item = await scene.store.item(batch, seq)
        assert (item.ref, item.custom_id, item.input) == ("erased-1", None, b"{}")
        assert item.last is not None
        assert all((run.result, run.message) == ({}, "") for run in (*item.earlier, item.last))
    other = await scene.store.item(batch, 1)
    assert other.last is not None
    assert (other.ref, other.last.result) == ("q", {"text": "secret"})
    assert len(await scene.store.by_ref("other", "p")) == 1
    assert await scene.store.erase_ref("w", "nobody", "erased-2") == 0


async def test_a_person_is_not_erased_while_something_waits_or_goes_on(scene: Scene) -> None:
    batch = await scene.submit(refs("p"), max_tries=3)

    async def refused() -> None:
        with pytest.raises(Conflict) as conflict:
            await scene.store.erase_ref("w", "p", "erased")
        assert conflict.value.code == "active"

    await refused()
    portion = await scene.take()
    await refused()
    await scene.finish(portion, Retry(scene.after(60), Failed("busy", "")))
    await refused()
    await scene.stop(batch)
    assert await scene.store.erase_ref("w", "p", "erased") == 1


async def test_a_person_is_not_erased_while_the_far_side_may_be_busy_with_them(scene: Scene) -> None:
    await scene.store.enlist("doomed")
    await scene.submit(refs("p"), exclusive=True)
    await scene.take(worker="doomed")
    await scene.bury("doomed")
    await scene.store.settle("doomed", {"lane": timedelta(seconds=60)})
    with pytest.raises(Conflict):
        await scene.store.erase_ref("w", "p", "erased")
    scene.clock.advance(60)
    await scene.store.sweep_leftovers()
    assert await scene.store.erase_ref("w", "p", "erased") == 1


async def test_an_idempotent_request_is_answered_once(scene: Scene) -> None:
    store = scene.store
    assert await store.begin_answer(MEANING, WORKER, "b1") is None
    with pytest.raises(Conflict) as refused:
        await store.begin_answer(MEANING, WORKER, "b2")
    assert refused.value.code == "still_running"
    await store.keep_answer(MEANING, StoredResponse(201, b"body"))
    assert await store.begin_answer(MEANING, WORKER, "b3") == StoredResponse(201, b"body")
    assert await store.begin_answer(replace(MEANING, workspace="other"), WORKER, None) is None


@pytest.mark.parametrize("other", [{"digest": b"other"}, {"route": "POST /other"}])
async def test_a_key_has_one_meaning(scene: Scene, other: dict[str, Any]) -> None:
    await scene.store.begin_answer(MEANING, WORKER, None)
    with pytest.raises(Unprocessable) as refused:
        await scene.store.begin_answer(replace(MEANING, **other), WORKER, None)
    assert refused.value.code == "idempotency_key_reused"


async def test_a_failed_request_may_be_tried_again(scene: Scene) -> None:
    await scene.store.begin_answer(MEANING, WORKER, None)
    await scene.store.keep_answer(MEANING, None)
    assert await scene.store.begin_answer(MEANING, WORKER, None) is None


async def test_a_request_whose_process_died_is_taken_over_with_what_it_would_have_made(scene: Scene) -> None:
    store = scene.store
    await store.enlist("doomed")
    assert await store.begin_answer(MEANING, "doomed", "b1") is None
    with pytest.raises(Conflict):
        await store.begin_answer(MEANING, WORKER, "b2")
    await scene.bury("doomed")
    assert await store.begin_answer(MEANING, WORKER, "b2") == "b1"
    with pytest.raises(Conflict) as refused:
        await store.begin_answer(MEANING, WORKER, "b3")
    assert refused.value.code == "still_running"
    await store.keep_answer(MEANING, StoredResponse(201, b""))
    assert await store.begin_answer(MEANING, "another", None) == StoredResponse(201, b"")
