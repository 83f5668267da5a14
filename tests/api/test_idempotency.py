"""Idempotency-Key: one key and one meaning, one answer (contract 12.6)."""

import asyncio

import pytest

from covey.domain.errors import Unavailable
from tests.api.house import PEOPLE, PREFIX, House

KEY = {"Idempotency-Key": "once-1"}


async def test_the_same_start_again_gets_the_first_answer(house: House) -> None:
    agent = await house.agent()
    first = await house.start(agent=agent, headers=KEY)
    again = await house.start(agent=agent, headers=KEY, path="/v1/batch-calls")
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert (await house.json(PREFIX))["pagination"]["total"] == 1


async def test_another_meaning_is_refused(house: House) -> None:
    agent = await house.agent()
    await house.start(agent=agent, headers=KEY)
    for answer in (
        await house.start(agent=agent, headers=KEY, name="x"),
        await house.start(agent=agent, headers=KEY, csv=PEOPLE + b"\n"),
        await house.start(agent=await house.agent(), headers=KEY),
    ):
        assert answer.status_code == 422
    other = await house.client.post("/v1/api/agents", json={"name": "x"}, headers=KEY)
    assert other.status_code == 422


async def test_a_key_belongs_to_its_workspace(house: House) -> None:
    assert (await house.client.post("/v1/api/agents", json={"name": "x"}, headers=KEY)).status_code == 200
    own = {**house.headers("other"), **KEY}
    answer = await house.client.post("/v1/api/agents", json={"name": "y"}, headers=own)
    assert answer.status_code == 200
    assert "idempotency-replayed" not in answer.headers


async def test_with_a_key_a_list_given_twice_is_meant(house: House) -> None:
    agent = await house.agent()
    await house.batch(agent=agent)
    assert (await house.start(agent=agent, headers=KEY)).status_code == 200


async def test_refusals_are_kept_too(house: House) -> None:
    agent = await house.agent()
    bad = b"phone_number,first_name\nnonsense,Ann\n"
    first = await house.start(agent=agent, csv=bad, headers=KEY)
    again = await house.start(agent=agent, csv=bad, headers=KEY)
    assert (first.status_code, again.status_code) == (400, 400)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()


async def test_equal_requests_at_once_make_one_batch(house: House) -> None:
    agent = await house.agent()
    answers = await asyncio.gather(*(house.start(agent=agent, headers=KEY) for _ in range(6)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes[0] == 200
    assert set(codes) <= {200, 409}
    assert all(answer.json()["error"] == "still_running" for answer in answers if answer.status_code == 409)
    assert (await house.json(PREFIX))["pagination"]["total"] == 1


async def test_what_failed_inside_may_be_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, submit = await house.agent(), house.services.submission.submit

    async def broken(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(house.services.submission, "submit", broken)
    answer = await house.start(agent=agent, headers=KEY)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    monkeypatch.setattr(house.services.submission, "submit", submit)
    assert (await house.start(agent=agent, headers=KEY)).status_code == 200


async def test_a_successor_finds_what_a_dead_process_made(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies after the batch was accepted and before its answer was kept."""
    agent, store = await house.agent(), house.services.store

    async def lost(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as dying:
        dying.setattr(store, "keep_answer", lost)
        first = await house.start(agent=agent, headers=KEY)
    assert first.status_code == 200
    await store.retire(house.services.worker)
    again = await house.start(agent=agent, headers=KEY)
    assert again.status_code == 200, again.text
    assert again.json()["batchId"] == first.json()["batchId"]
    assert again.headers["idempotency-replayed"] == "true"
    assert (await house.json(PREFIX))["pagination"]["total"] == 1


async def test_a_secret_is_shown_once_even_then(house: House) -> None:
    admin = {**house.headers("admin"), **KEY}
    body = {"role": "read", "workspace": "ws-one", "name": "x"}
    first = await house.client.post("/v1/admin/keys", json=body, headers=admin)
    again = await house.client.post("/v1/admin/keys", json=body, headers=admin)
    assert first.json()["secret"]
    assert again.json() == {**first.json(), "secret": None}


async def test_a_key_has_a_shape(house: House) -> None:
    for key in ("", "with blank", "x" * 256):
        answer = await house.client.post("/v1/api/agents", json={"name": "x"}, headers={"Idempotency-Key": key})
        assert answer.status_code == 400, key
        assert "Idempotency-Key" in answer.json()["message"]
