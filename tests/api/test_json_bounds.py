"""What JSON may come in, on every route that takes some: how deep, how much, and nothing that no store keeps."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.api.kit.json_text import MOST_DEPTH, MOST_VALUES, Unfit, crowded, read_json
from covey.calls.config import CallsConfig
from covey.domain.account import AgentRecord
from covey.domain.asset import Asset, AssetState
from covey.domain.batch import NewBatch, NewItem
from covey.domain.ids import new_id
from tests.api.bodies import BODIES, message, send
from tests.api.harness import PREFIX, ApiHarness, succeeded


def nested(depth: int, inner: Any = 1) -> Any:
    """Objects and lists in turn, so many of them."""
    for level in reversed(range(depth)):
        inner = [inner] if level % 2 else {"deeper": inner}
    return inner


def test_there_are_bodies() -> None:
    assert len(BODIES) > 20
    assert {method for method, _, _ in BODIES} >= {"POST", "PUT", "PATCH"}


@pytest.mark.parametrize("depth", [MOST_DEPTH, 300, 5_000, 100_000])
async def test_what_is_nested_too_deeply_is_refused_by_every_route_and_field(api: ApiHarness, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    for method, path, fields in BODIES:
        for field in [*fields, "x-of-their-own"] if depth < 1000 else fields[:1]:
            answer = await send(api, method, path, b'{"a":"{[","' + field.encode() + b'":' + deep + b"}")
            assert answer.status_code == 400, (method, path, field, answer.text)
            assert message(answer) == f"{field}: nested deeper than {MOST_DEPTH} levels", (method, path)


async def test_the_field_is_named_inside_of_lists_too(api: ApiHarness) -> None:
    body = {"name": "a", "greeting": "b", "questions": [{"name": "q", "ask": "a", "note": nested(100)}]}
    answer = await send(api, "POST", "/v1/api/agents", orjson.dumps(body))
    assert message(answer) == f"questions.0.note: nested deeper than {MOST_DEPTH} levels"


async def test_what_is_as_deep_as_may_be_is_kept_and_read(api: ApiHarness) -> None:
    agent = await api.agent(settings=nested(MOST_DEPTH - 1), variables=nested(MOST_DEPTH - 1), more=nested(63))
    assert (await api.json(f"/v1/api/agents/{agent}"))["settings"] == nested(MOST_DEPTH - 1)
    for method in ("PUT", "PATCH"):
        assert (await send(api, method, f"/v1/api/agents/{agent}", b'{"more":[[[]]]}')).status_code == 200
    call = {"to": "+12125550101", "call_agent_id": agent, "metadata": nested(MOST_DEPTH - 1)}
    call["dynamic_variables"] = {"first_name": "Ann"}
    answer = await send(api, "POST", "/v1/api/call", orjson.dumps(call))
    assert answer.status_code == 200, answer.text
    assert (await api.client.get("/v1/api/agents")).status_code == 200
    assert await api.batch(agent=agent)


async def test_metadata_of_a_form_has_the_same_limit(api: ApiHarness) -> None:
    notes = orjson.dumps({"a": nested(MOST_DEPTH + 1)}).decode()
    form = {"method": "direct", "user_metadata": notes}
    answer = await api.client.post("/v1.3/assets", data=form, files={"file": ("a.md", b"# Notes")})
    assert answer.status_code == 400
    assert message(answer) == f"user_metadata.a: nested deeper than {MOST_DEPTH} levels"


@pytest.mark.parametrize("name", ["callIds", "dateRange"])
async def test_json_in_a_query_has_the_same_limit(api: ApiHarness, name: str) -> None:
    answer = await api.client.get("/v2/api/call-history", params={name: "[" * 3000})
    assert answer.status_code == 400
    assert message(answer).startswith(f"{name}: ")


async def test_no_body_may_have_far_too_many_values(api: ApiHarness) -> None:
    many = b'{"name":[' + b"{}," * MOST_VALUES + b"{}]}"
    for method, path, _ in BODIES:
        if not path.startswith("/v1.3"):
            answer = await send(api, method, path, many)
            assert answer.status_code == 400, (method, path)
            assert "more than 50,000 values" in message(answer)


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"1e999", b'"\\ud800"', b"\xff", b"{'a': 1}"])
async def test_what_is_no_json_is_refused_by_every_route(api: ApiHarness, text: bytes) -> None:
    for method, path, _ in BODIES:
        answer = await send(api, method, path, b'{"x":' + text + b"}")
        assert answer.status_code == 400, (method, path)
        assert "not valid JSON" in message(answer)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
async def test_whole_numbers_have_64_bits(api: ApiHarness, number: int) -> None:
    answer = await send(api, "POST", "/v1/api/agents", b'{"name":"a","settings":{"n":[%d]}}' % number)
    assert message(answer) == "settings.n.0: the number is too large; at most 64 bits are kept"
    agent = await api.agent(settings={"n": [2**63 - 1, -(2**63)], "text": str(number)})
    assert (await api.json(f"/v1/api/agents/{agent}"))["settings"]["n"] == [2**63 - 1, -(2**63)]


NO_NUL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)


@given(st.recursive(st.none() | NO_NUL, lambda inner: st.lists(inner) | st.dictionaries(NO_NUL, inner)))
def test_what_is_read_is_what_was_written(value: Any) -> None:
    assert read_json(orjson.dumps(value)) == value


@pytest.mark.parametrize("noise", [b"", b'"[[[[{{{{",', b'"\\\\",', b'"a\\"[[[",'])
def test_depth_is_counted_outside_of_strings_and_to_the_level(noise: bytes) -> None:
    def text(depth: int) -> bytes:
        return b"[" + noise * 50 + b"[" * (depth - 1) + b"]" * depth

    assert read_json(text(MOST_DEPTH))
    with pytest.raises(Unfit, match="deeper than 64"):
        read_json(text(MOST_DEPTH + 1))
    flat = b"[" + b"[{}]," * 100 + b"{}]"
    assert len(read_json(flat)) == 101


def test_brackets_that_do_not_match_are_no_json() -> None:
    for text in (b"[" * 60 + b"}" * 60, b"]" * 100, b"[}" * 100):
        with pytest.raises(orjson.JSONDecodeError):
            read_json(text)


def test_what_is_counted() -> None:
    assert not crowded(b'{"a":[1,2]}', 5)
    assert crowded(b'{"a":[1,2],"b":1}', 5)


DEEPEST = 253
"""With one level around it, as much as a store took: orjson writes 254."""


async def plant(api: ApiHarness) -> tuple[str, str, str]:
    """An agent, an asset and a call as an earlier version would have kept them: nested far deeper than may be now."""
    now, store, deep = api.clock.now(), api.services.store, nested(DEEPEST)
    body = {"name": "old", "greeting": "Hello", "settings": deep, "more": deep, "userId": "u"}
    agent = AgentRecord(new_id(now), "ws-one", body, now, now)
    await store.put_agent(agent)
    ready, notes = AssetState.ready, {"d": deep}
    asset = Asset(new_id(now), "ws-one", "a.mp4", "video", "direct", ready, now, 1, 1.0, None, {}, None, notes)
    await store.add_asset(asset, api.services.worker)
    wire = f"agent_{agent.id}"
    config = CallsConfig(agent={"greeting": "Hello"}, agent_id=wire, trunk="demo", live=False, metadata=deep)
    new = NewBatch(new_id(now), "ws-one", "calls", "demo", orjson.dumps(config.model_dump()), now, origin="single")

    async def pieces() -> Any:
        yield [NewItem(orjson.dumps({"row": 1, "values": {"phone_number": "+12125550101"}}), "+12125550101")]

    batch = await api.services.submission.submit(new, pieces(), api.services.quota(True))
    for taken in await api.claim():
        await api.finish(taken, succeeded())
    return wire, asset.id, batch.id


async def test_what_was_kept_deeper_before_makes_no_read_fail(api: ApiHarness) -> None:
    agent, asset, batch = await plant(api)
    for path in (
        "/v1/api/agents",
        f"/v1/api/agents/{agent}",
        "/v1.3/assets",
        f"/v1.3/assets/{asset}",
        "/v2/api/call-history",
        f"/v2/api/call-history/call_{batch[:-6]}000001",
        "/v1/api/people/%2B12125550101",
    ):
        assert (await api.client.get(path)).status_code == 200, path
    assert (await api.json(f"/v1/api/agents/{agent}"))["settings"] == nested(DEEPEST)
    export = await api.client.post("/v2/api/call-history/export-csv", json={"includePostAnalysis": True})
    assert export.status_code == 200
    for method in ("PUT", "PATCH"):
        answer = await api.client.request(method, f"/v1/api/agents/{agent}", json={"goodbye": "Bye"})
        assert answer.status_code == 200, answer.text
        answer = await api.client.request(
            method, f"/v1.3/assets/{asset}/user-metadata", json={"user_metadata": {"a": "b"}}
        )
        assert answer.status_code == 204, answer.text
    assert (await api.start(agent=agent, csv=b"phone_number\n+12125550101\n")).status_code == 200
    assert (await api.client.get(PREFIX)).status_code == 200
    assert (await api.client.delete(f"/v1/api/agents/{agent}")).status_code == 200
