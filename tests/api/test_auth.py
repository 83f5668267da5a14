"""Who comes in: every mounted route, aliases too, with every wrong key (contract 12.2)."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts

from covey.api.app import DIALECTS, routes
from covey.api.kit.auth import PUBLIC, is_admin, make_key, well_formed
from covey.api.trillet.dialect import SECOND_NAMES
from covey.domain.account import Role
from tests.api.harness import PREFIX, ApiHarness, open_api

LOOKING_POSTS = ("/validate", "/export-csv")


def mounted() -> list[tuple[str, str]]:
    """Every method and path there is, under all its names, placeholders filled."""
    found = []
    for route in iter_route_contexts(routes().routes):
        path = re.sub(r"\{(\w+)\}", r"x-\1", route.path or "")
        names = [path]
        for second, first in SECOND_NAMES.items():
            if path == first or path.startswith(first + "/"):
                names.append(second + path.removeprefix(first))
        found += [(method, name) for method in sorted(route.methods or ()) for name in names]
    return found


ROUTES = [(method, path) for method, path in mounted() if path not in PUBLIC]


@pytest.fixture
async def lenient(tmp_path: Path) -> AsyncIterator[ApiHarness]:
    """A house that forgives any number of wrong keys."""
    async with open_api(tmp_path, failed_authentications_per_second=100_000) as api:
        yield api


def test_there_are_routes_under_all_their_names() -> None:
    assert len(ROUTES) > 60
    for second, first in SECOND_NAMES.items():
        assert [path for _, path in ROUTES if path.startswith(second)], second
        assert [path for _, path in ROUTES if path.startswith(first)], first


async def test_every_route_refuses_every_wrong_key(lenient: ApiHarness) -> None:
    unknown = {"x-api-key": make_key("ws-one", Role.operate, "", lenient.clock.now())[1], "x-workspace-id": "ws-one"}
    foreign = lenient.headers("other", "ws-one")
    nowhere = lenient.headers("operate", "ws-nowhere")
    for method, path in ROUTES:
        own = lenient.headers("admin" if is_admin(path) else "operate")
        for headers, status in (
            ({"x-api-key": "", "x-workspace-id": "ws-one"}, 401),
            ({"x-api-key": "", "x-workspace-id": ""}, 401),
            (unknown, 401),
            ({**own, "x-api-key": own["x-api-key"][:-1] + "!"}, 401),
        ):
            answer = await lenient.client.request(method, path, headers=headers)
            assert answer.status_code == status, (method, path)
            shape = {"error", "code", "message"} if not DIALECTS.of(path).names_workspace else {"error", "message"}
            assert method == "HEAD" or set(answer.json()) == shape
        if is_admin(path):
            answer = await lenient.client.request(method, path, headers=lenient.headers())
            assert answer.status_code == 403, (method, path)
            continue
        first = await lenient.client.request(method, path, headers=foreign)
        second = await lenient.client.request(method, path, headers=nowhere)
        assert first.status_code == second.status_code == 403, (method, path)
        assert first.content == second.content
        if DIALECTS.of(path).names_workspace:  # there the key alone names the workspace
            empty = await lenient.client.request(method, path, headers={**own, "x-workspace-id": ""})
            assert empty.status_code == 400
            assert method == "HEAD" or "x-workspace-id" in empty.json()["message"]
        ruler = {**lenient.headers("admin"), "x-workspace-id": "ws-one"}
        answer = await lenient.client.request(method, path, headers=ruler)
        assert answer.status_code == 403, (method, path)
        if method not in ("GET", "HEAD") and not path.endswith(LOOKING_POSTS):
            answer = await lenient.client.request(method, path, headers=lenient.headers("read"))
            assert answer.status_code == 403, (method, path)
            assert "operate" in answer.json()["message"]


async def test_another_workspaces_things_are_as_if_they_were_not_there(api: ApiHarness) -> None:
    batch = await api.planted()
    agent = await api.agent()
    call = (await api.json(f"{PREFIX}/{batch}/calls"))["calls"][0]["jobId"]
    other = api.headers("other")
    missing = "batch_" + "0" * 24
    one = f"/calls/{call}"
    for path in ("", "/status", "/calls", one, "/history", "/report", "/export", f"{one}/recording"):
        there = await api.client.get(f"{PREFIX}/{batch}{path}", headers=other)
        never = await api.client.get(f"{PREFIX}/{missing}{path}", headers=other)
        assert there.status_code == never.status_code == 404, path
        assert there.text.replace(batch, missing) == never.text
    changes = (("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/retry"), ("DELETE", "/data"))
    for method, path in changes:
        answer = await api.client.request(method, f"{PREFIX}/{batch}{path}", headers=other)
        assert answer.status_code == 404, path
    assert (await api.client.get(f"/v1/api/agents/{agent}", headers=other)).status_code == 404
    assert (await api.client.delete(f"/v1/api/agents/{agent}", headers=other)).status_code == 404
    assert (await api.client.get(f"/v2/api/call-history/{call}", headers=other)).status_code == 404
    assert (await api.client.get("/v2/api/call-history", headers=other)).json() == []
    assert (await api.client.get(PREFIX, headers=other)).json()["batches"] == []
    assert (await api.json(f"{PREFIX}/{batch}"))["status"] == "queued"


async def test_a_revoked_key_opens_nothing_from_the_next_request_on(api: ApiHarness) -> None:
    admin = api.headers("admin")
    body = {"role": "operate", "workspace": "ws-one", "name": "short"}
    made = (await api.client.post("/v1/admin/keys", json=body, headers=admin)).json()
    assert well_formed(made["secret"])
    own = {"x-api-key": made["secret"], "x-workspace-id": "ws-one"}
    assert (await api.client.get("/v1/api/", headers=own)).status_code == 200
    listed = (await api.client.get("/v1/admin/keys", headers=admin)).json()
    assert made["secret"] not in str(listed)
    assert next(key for key in listed if key["id"] == made["id"])["lastUsedAt"]
    assert (await api.client.delete(f"/v1/admin/keys/{made['id']}", headers=admin)).status_code == 200
    assert (await api.client.get("/v1/api/", headers=own)).status_code == 401


async def test_a_key_ends_when_it_says(api: ApiHarness) -> None:
    until = (api.clock.now() + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    body = {"role": "read", "workspace": "ws-one", "name": "short", "expiresAt": until}
    made = (await api.client.post("/v1/admin/keys", json=body, headers=api.headers("admin"))).json()
    own = {"x-api-key": made["secret"], "x-workspace-id": "ws-one"}
    assert (await api.client.get(PREFIX, headers=own)).status_code == 200
    api.clock.ahead = timedelta(hours=2)
    assert (await api.client.get(PREFIX, headers=own)).status_code == 401


async def test_guessing_is_limited_and_does_not_lock_out_who_is_known(api: ApiHarness) -> None:
    assert (await api.client.get(PREFIX)).status_code == 200
    wrong = {"x-api-key": "covey_sk_wrong", "x-workspace-id": "ws-one"}
    api.clock.stopped_at = api.clock.monotonic()
    answers = [await api.client.get(PREFIX, headers=wrong) for _ in range(30)]
    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
    assert (await api.client.get(PREFIX)).status_code == 200
    api.clock.ahead += timedelta(seconds=2)
    assert (await api.client.get(PREFIX, headers=wrong)).status_code == 401


async def test_a_keys_rate_limit_says_when_to_come_back(tmp_path: Path) -> None:
    async with open_api(tmp_path, requests_per_minute=3) as api:
        answers = [await api.client.get("/v1/api/") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 20
        assert answers[-1].json()["error"]["reset_at"].endswith("Z")
        api.clock.ahead += timedelta(seconds=21)
        assert (await api.client.get("/v1/api/")).status_code == 200
