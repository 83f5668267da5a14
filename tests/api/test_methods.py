"""What every answer has: methods and `Allow`, HEAD, and the headers that keep browsers and caches out."""

import asyncio
import re
from typing import Any

import pytest

from covey.api.app import routes
from covey.api.kit.openapi import documented
from tests.api.harness import ApiHarness
from tests.api.serving import served

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
ID = "6b0e39d68c1b69503e000000"


def paths() -> dict[str, set[str]]:
    """Every path with its methods: those of the document, and HEAD beside GET."""
    found: dict[str, set[str]] = {}
    for route in documented(routes()):
        methods = found.setdefault(route.path, set())
        methods |= route.methods or set()
        methods |= {"HEAD"} if "GET" in methods else set()
    return found


PATHS = paths()


def headers(api: ApiHarness, path: str) -> dict[str, str]:
    return api.headers("admin" if path.startswith("/v1/admin") else "operate")


@pytest.mark.parametrize("path", sorted(PATHS))
async def test_allow_names_the_methods_that_a_path_takes(api: ApiHarness, path: str) -> None:
    """Also where a path with a parameter would take the method, as the one of a batch called `template`."""
    allow = ", ".join(method for method in METHODS if method in PATHS[path])
    for method in (*METHODS, "OPTIONS", "TRACE", "PROPFIND"):
        if method not in PATHS[path]:
            answer = await api.client.request(method, re.sub(r"\{\w+\}", ID, path), headers=headers(api, path))
            assert (answer.status_code, answer.headers.get("allow")) == (405, allow), method


@pytest.mark.parametrize("path", sorted(path for path, methods in PATHS.items() if "GET" in methods))
async def test_head_is_get_without_the_body(api: ApiHarness, path: str) -> None:
    place = re.sub(r"\{\w+\}", ID, path)
    got, head = [await api.client.request(way, place, headers=headers(api, path)) for way in ("GET", "HEAD")]
    assert head.status_code == got.status_code
    assert {**head.headers, "x-request-id": ""}.keys() == {**got.headers, "x-request-id": ""}.keys()
    for name in ("content-type", "cache-control"):
        assert head.headers.get(name) == got.headers.get(name)


async def test_head_has_no_body_on_the_wire(api: ApiHarness) -> None:
    async with served(api) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in (b"/livez", b"/openapi.json", b"/v1/api/agents"):
            writer.write(b"HEAD " + path + b" HTTP/1.1\r\nhost: covey\r\n\r\n")
        writer.write(b"GET /livez HTTP/1.1\r\nhost: covey\r\nconnection: close\r\n\r\n")
        raw = await asyncio.wait_for(reader.read(), 30)
        writer.close()
    heads = raw.split(b"\r\n\r\n")
    assert [head.split(b"\r\n")[0] for head in heads[:-1]] == [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 401 Unauthorized",
        b"HTTP/1.1 200 OK",
    ]
    assert heads[-1] == b'{"status":"ok"}'


def kept_out(answer: Any) -> None:
    """No browser guesses what it is, or shows it in somebody else's page."""
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_answers_are_kept_by_nobody_and_framed_by_nobody(api: ApiHarness) -> None:
    client, nobody = api.client, {"x-api-key": ""}
    for answer in (
        await client.get("/v1/api/agents"),
        await client.get("/v1/api/agents", headers=nobody),
        await client.get("/v1/nothing"),
        await client.put("/v1/api/agents"),
        await client.post("/v1/api/agents", content=b"{"),
        await client.get("/v1/api/batch-calls/template"),
        await client.get("/v1.3/assets"),
        await client.get("/livez"),
        await client.get("/readyz"),
        await client.get("/metrics"),
    ):
        kept_out(answer)
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_the_document_may_be_kept_but_not_framed(api: ApiHarness, path: str) -> None:
    answer = await api.client.get(path)
    kept_out(answer)
    assert "no-store" not in answer.headers["cache-control"]
