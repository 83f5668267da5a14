"""Idempotency-Key: one key and one meaning, one answer (contract 12.6)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2 as httpx
import pytest

from covey.domain.batch import BatchState
from covey.domain.errors import Unavailable
from tests.api.document import document
from tests.api.furnished import furnish, good, order
from tests.api.harness import BUSY, PEOPLE, PREFIX, ApiHarness

KEY = {"Idempotency-Key": "once-1"}


async def test_the_same_start_again_gets_the_first_answer(api: ApiHarness) -> None:
    agent = await api.agent()
    first = await api.start(agent=agent, headers=KEY)
    again = await api.start(agent=agent, headers=KEY, path="/v1/batch-calls")
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert (await api.json(PREFIX))["pagination"]["total"] == 1


async def test_another_meaning_is_refused(api: ApiHarness) -> None:
    agent = await api.agent()
    await api.start(agent=agent, headers=KEY)
    for answer in (
        await api.start(agent=agent, headers=KEY, name="x"),
        await api.start(agent=agent, headers=KEY, csv=PEOPLE + b"\n"),
        await api.start(agent=await api.agent(), headers=KEY),
    ):
        assert answer.status_code == 422
    other = await api.client.post("/v1/api/agents", json={"name": "x"}, headers=KEY)
    assert other.status_code == 422


async def test_a_key_belongs_to_its_workspace(api: ApiHarness) -> None:
    assert (await api.client.post("/v1/api/agents", json={"name": "x"}, headers=KEY)).status_code == 200
    own = {**api.headers("other"), **KEY}
    answer = await api.client.post("/v1/api/agents", json={"name": "y"}, headers=own)
    assert answer.status_code == 200
    assert "idempotency-replayed" not in answer.headers


async def test_refusals_are_kept_too(api: ApiHarness) -> None:
    agent = await api.agent()
    bad = b"phone_number,first_name\nnonsense,Ann\n"
    first = await api.start(agent=agent, csv=bad, headers=KEY)
    again = await api.start(agent=agent, csv=bad, headers=KEY)
    assert (first.status_code, again.status_code) == (400, 400)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()


async def test_equal_requests_at_once_make_one_batch(api: ApiHarness) -> None:
    agent = await api.agent()
    answers = await asyncio.gather(*(api.start(agent=agent, headers=KEY) for _ in range(6)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes[0] == 200
    assert set(codes) <= {200, 409}
    assert all(answer.json()["error"] == "still_running" for answer in answers if answer.status_code == 409)
    assert (await api.json(PREFIX))["pagination"]["total"] == 1


async def test_what_failed_inside_may_be_tried_again(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, submit = await api.agent(), api.services.submission.submit

    async def broken(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(api.services.submission, "submit", broken)
    answer = await api.start(agent=agent, headers=KEY)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    monkeypatch.setattr(api.services.submission, "submit", submit)
    assert (await api.start(agent=agent, headers=KEY)).status_code == 200


async def test_a_successor_finds_what_a_dead_process_made(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies after the batch was accepted and before its answer was kept."""
    agent, store = await api.agent(), api.services.store

    async def lost(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as dying:
        dying.setattr(store, "keep_answer", lost)
        first = await api.start(agent=agent, headers=KEY)
    assert first.status_code == 200
    await store.retire(api.services.worker)
    again = await api.start(agent=agent, headers=KEY)
    assert again.status_code == 200, again.text
    assert again.json()["batchId"] == first.json()["batchId"]
    assert again.headers["idempotency-replayed"] == "true"
    assert (await api.json(PREFIX))["pagination"]["total"] == 1


async def test_a_secret_is_shown_once_even_then(api: ApiHarness) -> None:
    admin = {**api.headers("admin"), **KEY}
    body = {"role": "read", "workspace": "ws-one", "name": "x"}
    first = await api.client.post("/v1/admin/keys", json=body, headers=admin)
    again = await api.client.post("/v1/admin/keys", json=body, headers=admin)
    assert first.json()["secret"]
    assert again.json() == {**first.json(), "secret": None}


async def test_a_key_has_a_shape(api: ApiHarness) -> None:
    for key in ("", "with blank", "x" * 256):
        answer = await api.client.post("/v1/api/agents", json={"name": "x"}, headers={"Idempotency-Key": key})
        assert answer.status_code == 400, key
        assert "Idempotency-Key" in answer.json()["message"]


async def lost(*_: object) -> None:
    """What the database answers when it cannot."""
    raise Unavailable


Ask = Callable[[], Awaitable[httpx.Response]]


async def asking(api: ApiHarness, kind: str) -> tuple[Ask, str]:
    """A request with a key that starts calls, always the same; and where the batch's or call's id stands."""
    agent = await api.agent()
    if kind == "start":
        return lambda: api.start(agent=agent, headers=KEY), "batchId"
    if kind == "single":
        body = {"to": "+12125550101", "call_agent_id": agent, "dynamic_variables": {"first_name": "Ann"}}
        return lambda: api.client.post("/v1/api/call", json=body, headers=KEY), "call_id"
    batch = await api.planted(agent=agent)
    for taken in await api.claim(3):
        await api.finish(taken, BUSY)
    return lambda: api.client.post(f"{PREFIX}/{batch}/retry", headers=KEY), "batchId"


async def made(api: ApiHarness) -> int:
    """How many batches wait for their first call."""
    _, total = await api.services.store.batches("ws-one", states=[BatchState.queued], origin=None)
    return total


KINDS = pytest.mark.parametrize("kind", ["start", "single", "retry"])


@KINDS
async def test_nobody_is_called_twice_when_the_process_died(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It dies after the batch was accepted and before its answer was kept."""
    ask, name = await asking(api, kind)
    with monkeypatch.context() as dying:
        dying.setattr(api.services.store, "keep_answer", lost)
        first = await ask()
    api.services.unsettled.clear()
    await api.services.store.retire(api.services.worker)
    again = await ask()
    assert (first.status_code, again.status_code) == (200, 200), again.text
    assert again.json()[name] == first.json()[name]
    assert again.headers["idempotency-replayed"] == "true"
    assert await made(api) == 1


@KINDS
async def test_nobody_is_called_twice_when_the_request_was_cancelled(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The database has begun to accept the batch when the time is up, or the server stops."""
    ask, _ = await asking(api, kind)
    accept, gate = api.services.store.accept, api.clock.gate

    async def held(*args: object) -> object:
        gate.armed = True
        return await accept(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(api.services.store, "accept", held)
    first = asyncio.ensure_future(ask())
    await asyncio.to_thread(gate.reached.wait, 10)
    first.cancel()
    await asyncio.sleep(0)
    gate.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    again = await ask()
    assert again.status_code == 200, again.text
    assert again.headers["idempotency-replayed"] == "true"
    assert await made(api) == 1


@KINDS
async def test_an_answer_that_could_not_be_kept_is_found_again(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    ask, name = await asking(api, kind)
    with monkeypatch.context() as failing:
        failing.setattr(api.services.store, "keep_answer", lost)
        first = await ask()
    again, third = await ask(), await ask()
    assert [answer.status_code for answer in (first, again, third)] == [200, 200, 200], again.text
    assert first.json()[name] == again.json()[name] == third.json()[name]
    assert await made(api) == 1


@KINDS
async def test_what_was_made_before_an_error_is_the_answer(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    ask, name = await asking(api, kind)
    accept = api.services.store.accept

    async def breaks(*args: object) -> None:
        await accept(*args)  # type: ignore[arg-type]
        raise RuntimeError("after the batch was accepted")

    with monkeypatch.context() as breaking:
        breaking.setattr(api.services.store, "accept", breaks)
        first = await ask()
    assert first.status_code == 200, first.text
    assert (await ask()).json()[name] == first.json()[name]
    assert await made(api) == 1


@KINDS
async def test_a_draft_of_a_dead_process_stands_in_nobodys_way(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    ask, _ = await asking(api, kind)
    with monkeypatch.context() as dying:
        for name in ("accept", "discard", "keep_answer"):
            dying.setattr(api.services.store, name, lost)
        assert (await ask()).status_code == 503
    api.services.unsettled.clear()
    await api.services.store.retire(api.services.worker)
    again = await ask()
    assert again.status_code == 200, again.text
    assert "idempotency-replayed" not in again.headers
    assert await made(api) == 1


async def test_finding_the_first_answer_may_be_cancelled_too(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, name = await asking(api, "retry")
    keep, reached, never = api.services.store.keep_answer, asyncio.Event(), asyncio.Event()
    with monkeypatch.context() as failing:
        failing.setattr(api.services.store, "keep_answer", lost)
        first = await ask()

    async def stuck(*args: object) -> None:
        reached.set()
        await never.wait()
        await keep(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as sticking:
        sticking.setattr(api.services.store, "keep_answer", stuck)
        again = asyncio.ensure_future(ask())
        await reached.wait()
        again.cancel()
        with pytest.raises(asyncio.CancelledError):
            await again
    assert (await ask()).json()[name] == first.json()[name]
    assert await made(api) == 1


async def test_a_key_that_began_and_was_cancelled_may_be_used_again(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, _ = await asking(api, "start")
    begin, gate = api.services.store.begin_answer, api.clock.gate

    async def held(*args: object) -> object:
        gate.armed = not gate.reached.is_set()
        return await begin(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(api.services.store, "begin_answer", held)
    first = asyncio.ensure_future(ask())
    await asyncio.to_thread(gate.reached.wait, 10)
    first.cancel()
    await asyncio.sleep(0)
    gate.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await ask()).status_code == 200
    assert await made(api) == 1


async def test_the_same_retry_is_not_taken_twice(api: ApiHarness) -> None:
    batch = await api.planted()
    for taken in await api.claim(3):
        await api.finish(taken, BUSY)
    path = f"{PREFIX}/{batch}/retry"
    first = await api.client.post(path)
    for headers in ({}, KEY):
        again = await api.client.post(path, json={"name": "again"}, headers=headers)
        assert (again.status_code, again.json()["error"]) == (409, "duplicate_batch"), again.text
        assert again.json()["batchId"] == first.json()["batchId"]
    assert (await api.client.post(path, json={"errorCode": "busy"})).status_code == 200
    assert (await api.client.post(path, json={"allowDuplicate": True})).status_code == 200


def documented() -> list[tuple[str, str]]:
    """The paths of all routes that say that they honour a key, with their operations' ids; what ends things last."""
    found = [
        (path, operation["operationId"])
        for path, methods in document()["paths"].items()
        for operation in methods.values()
        if any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", ()))
    ]
    return sorted(found, key=lambda one: order(one[1]))


def without_secret(answer: httpx.Response) -> dict[str, object]:
    return {name: value for name, value in answer.json().items() if name != "secret"}


async def test_every_route_that_documents_a_key_honours_it(api: ApiHarness) -> None:
    ids, routes, elsewhere = await furnish(api), documented(), dict[str, str]()
    assert len(routes) > 25
    for number, (path, operation) in enumerate(routes):
        if operation == "analyze":
            continue  # it waits for a model: tests/api/twelvelabs/test_analyze_statuses.py
        whose = "admin" if path.startswith("/v1/admin") else "operate"
        headers = {**api.headers(whose), "idempotency-key": f"{number}"}
        url, more = good("post", path, ids)
        first = await api.client.post(url, headers=headers, **more)
        again = await api.client.post(url, headers=headers, **more)
        assert first.status_code < 500, (path, first.text)
        assert "idempotency-replayed" not in first.headers, path
        assert again.headers.get("idempotency-replayed") == "true", (path, first.text, again.text)
        assert (again.status_code, without_secret(again)) == (first.status_code, without_secret(first)), path
        if whose in elsewhere:
            headers["idempotency-key"] = elsewhere[whose]
            other = await api.client.post(url, headers=headers, **more)
            assert other.status_code == 422, (path, other.text)
        elsewhere[whose] = f"{number}"


async def test_every_post_documents_a_key_but_the_one_that_only_reads() -> None:
    posts = {path for path, methods in document()["paths"].items() if "post" in methods}
    assert posts - {path for path, _ in documented()} == {"/v2/api/call-history/export-csv"}


NAMED = {"filename": "c.md"}


async def test_the_same_upload_is_one_asset(api: ApiHarness) -> None:
    async def upload(content: bytes, name: str = "a.md", **fields: str) -> httpx.Response:
        data = {"method": "direct", **fields}
        return await api.client.post("/v1.3/assets", data=data, files={"file": (name, content)}, headers=KEY)

    refused = await upload(b"", "a.md")
    assert refused.status_code == 400
    first, again = await upload(b"# Notes"), await upload(b"# Notes")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    for content, name, fields in ((b"# Other", "a.md", {}), (b"# Notes", "b.md", {}), (b"# Notes", "a.md", NAMED)):
        assert (await upload(content, name, **fields)).status_code == 422
    assert (await api.json("/v1.3/assets"))["page_info"]["total_results"] == 1


async def test_an_upload_whose_answer_was_lost_is_found_again(api: ApiHarness) -> None:
    """The asset was made, the answer could not be kept: the next request finds it by the id that was written first."""
    form: Any = {"data": {"method": "direct"}, "files": {"file": ("a.md", b"# Notes")}}
    keep, failing = api.services.store.keep_answer, True

    async def keep_answer(*given: object) -> None:
        if failing:
            raise Unavailable("no database")
        await keep(*given)  # type: ignore[arg-type]

    api.services.store.keep_answer = keep_answer  # type: ignore[assignment]
    first = await api.client.post("/v1.3/assets", headers=KEY, **form)
    failing = False
    again = await api.client.post("/v1.3/assets", headers=KEY, **form)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["_id"] == first.json()["_id"]
    assert (await api.json("/v1.3/assets"))["page_info"]["total_results"] == 1
