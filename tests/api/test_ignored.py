"""What a route would ignore it refuses: parameters of the query that it does not know, and a body where it takes none.

The routes are those of the API's own document, so that none that is new can be forgotten.
"""

from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from covey.api.kit.auth import PUBLIC, is_admin
from tests.api.harness import PEOPLE, PREFIX, ApiHarness
from tests.api.routes import operations

LATER = {"scheduledAt": "2099-01-01T00:00:00Z"}
UNKNOWN, NO_BODY = {"unknown_parameter", "parameter_unknown"}, {"no_body_taken", "parameter_unknown"}


def strict() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation but those that probes ask."""
    for method, path, operation in operations():
        if path not in PUBLIC:
            yield method, path, operation


async def asked(api: ApiHarness, method: str, path: str, **request: Any) -> httpx.Response:
    headers = {**api.headers("admin" if is_admin(path) else "operate"), **request.pop("headers", {})}
    return await api.client.request(method, path.replace("{", "").replace("}", ""), headers=headers, **request)


def code_of(answer: httpx.Response) -> str:
    """An error's code in any of the shapes."""
    if answer.status_code != 400:
        return ""
    body = answer.json()
    error = body.get("code") or body["error"]
    return str(error["code"] if isinstance(error, dict) else error)


async def test_an_unknown_parameter_of_a_query_is_refused_by_its_name(api: ApiHarness) -> None:
    wrong = {}
    for method, path, operation in strict():
        answer = await asked(api, method, path, params=LATER)
        known = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
        named = all(name in answer.text for name in ("scheduledAt", *known))
        if code_of(answer) not in UNKNOWN or not named:
            wrong[f"{method} {path}"] = f"{answer.status_code} {answer.text[:200]}"
    assert wrong == {}


@pytest.mark.parametrize(
    "body", [b'{"scheduledAt": "2099-01-01T00:00:00Z"}', b"[]", b'""', b"scheduledAt=x", b"\xff", b" " * 2000]
)
async def test_a_body_where_none_is_taken_is_refused(api: ApiHarness, body: bytes) -> None:
    found = [
        (method, path, await asked(api, method, path, content=body))
        for method, path, operation in strict()
        if "requestBody" not in operation
    ]
    assert len(found) > 50
    assert {f"{m} {p}": answer.text[:200] for m, p, answer in found if code_of(answer) not in NO_BODY} == {}


@pytest.mark.parametrize("body", [b"", b"{}", b" null\n"])
async def test_a_body_that_says_nothing_is_none(api: ApiHarness, body: bytes) -> None:
    """Generated clients send it."""
    for method, path, operation in strict():
        if "requestBody" not in operation:
            answer = await asked(api, method, path, content=body)
            assert code_of(answer) not in NO_BODY, (method, path)


async def test_what_is_meant_for_later_or_elsewhere_is_not_done_now(api: ApiHarness) -> None:
    query = "?scheduledAt=2099-01-01T00:00:00Z&trunk=simulated"
    answer = await api.start(path=PREFIX + query)
    assert (answer.status_code, answer.json()["error"]) == (400, "unknown_parameter")
    body = {"to": "+12125550101", "call_agent_id": await api.agent(), "dynamic_variables": {"first_name": "Ann"}}
    answer = await api.client.post("/v1/call" + query, json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "unknown_parameter")
    assert not await api.claim(1)
    batch = await api.planted()
    answer = await api.client.delete(f"{PREFIX}/{batch}?hangup=true")
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "hangup: there is no such query parameter; there are active",
    )
    await api.client.post(f"{PREFIX}/{batch}/pause")
    answer = await api.client.post(f"{PREFIX}/{batch}/resume", json=LATER)
    assert (answer.status_code, answer.json()["error"]) == (400, "no_body_taken")
    status = await api.json(f"{PREFIX}/{batch}")
    assert (status["status"], status["paused"]) == ("processing", True)
    answer = await api.client.post(f"{PREFIX}/{batch}/resume", json={})
    assert (answer.status_code, answer.json()["paused"]) == (200, False)


async def test_a_misspelt_filter_does_not_show_everything(api: ApiHarness) -> None:
    for path, query in (
        (PREFIX, {"state": "queued"}),
        ("/v2/api/call-history", {"batchID": "batch_x"}),
        ("/v2/api/call-history", {"dateRange": '{"since": "2026-12-01"}'}),
        ("/v2/api/call-history/metrics", {"dateRange": '{"since": "2026-12-01"}'}),
    ):
        answer = await api.client.get(path, params=query)
        assert answer.status_code == 400, (path, query)


async def test_an_order_without_a_body_holds_though_its_client_is_gone(api: ApiHarness) -> None:
    batch = await api.planted(csv=PEOPLE)
    headers = [(name.encode(), value.encode()) for name, value in api.headers().items()]
    scope = {"type": "http", "method": "DELETE", "path": f"{PREFIX}/{batch}", "query_string": b"", "headers": headers}

    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def nowhere(_: Any) -> None:
        """Nobody reads the answer."""

    await api.app({**scope, "http_version": "1.1", "raw_path": b"", "root_path": ""}, gone, nowhere)
    assert (await api.json(f"{PREFIX}/{batch}"))["status"] == "cancelled"


async def test_probes_may_ask_as_they_like(api: ApiHarness) -> None:
    for path in PUBLIC:
        assert (await api.client.get(f"{path}?verbose&x=1")).status_code == 200, path
