"""The door over a real socket: refusals before the body is read, limits while it streams, ids, time limits."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from covey.domain.errors import Unavailable
from tests.api.harness import PREFIX, ApiHarness, open_api
from tests.api.serving import FORM, chunk, request, served
from tests.patience import PATIENCE

PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'


async def upload_until_answered(port: int, head: bytes, most: int) -> tuple[bytes, int]:
    """Send chunks without end, in small steps, until the server answers; the answer and the bytes it let in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    answer, sent = asyncio.create_task(reader.read(65536)), 0
    piece = chunk(PART + b"a" * 4096)
    try:
        while not answer.done() and sent < most:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
            await asyncio.wait([answer], timeout=0.005)
        return await asyncio.wait_for(answer, PATIENCE), sent
    finally:
        answer.cancel()
        writer.close()


async def test_an_endless_upload_without_a_key_is_refused_at_once(api: ApiHarness) -> None:
    async with served(api) as port:
        answer, sent = await upload_until_answered(port, request(api, None), 1 << 20)
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in answer
    assert sent < 64 * 1024


async def test_an_upload_with_a_read_only_key_is_refused_at_once(api: ApiHarness) -> None:
    async with served(api) as port:
        answer, sent = await upload_until_answered(port, request(api, "read"), 1 << 20)
    assert answer.startswith(b"HTTP/1.1 403")
    assert sent < 64 * 1024


async def test_a_stated_length_over_the_limit_is_refused_before_the_body(api: ApiHarness) -> None:
    headers = {**api.headers(), "content-type": FORM, "content-length": str(30 << 20)}
    async with served(api) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"POST {PREFIX} HTTP/1.1\r\nhost: covey\r\n{lines}\r\n".encode())
        answer = await asyncio.wait_for(reader.read(65536), PATIENCE)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_streamed_body_over_the_limit_is_cut_off_and_leaves_nothing(tmp_path: Path) -> None:
    async with open_api(tmp_path, csv_bytes=100_000, form_overhead_bytes=10_000) as api, served(api) as port:
        answer, sent = await upload_until_answered(port, request(api, "operate"), 10 << 20)
        assert answer.startswith(b"HTTP/1.1 413")
        assert sent < 1 << 20
        assert not list(api.services.spool.iterdir())


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(api: ApiHarness) -> None:
    async with served(api) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(api, "operate") + chunk(PART + b"a" * 1000))
        await writer.drain()
        while not list(api.services.spool.glob("upload-*")):
            await asyncio.sleep(0.005)
        writer.transport.abort()
        while list(api.services.spool.iterdir()):
            await asyncio.sleep(0.005)
    assert (await api.json(PREFIX))["batches"] == []


async def test_a_body_that_stalls_is_given_up(tmp_path: Path) -> None:
    async with open_api(tmp_path, body_idle_seconds=0.2) as api, served(api) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(api, "operate") + chunk(PART))
        answer = await asyncio.wait_for(reader.read(65536), PATIENCE)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in answer


async def test_json_bodies_are_limited_too(api: ApiHarness) -> None:
    answer = await api.client.post("/v1/api/agents", json={"name": "x", "greeting": "y" * (1 << 20)})
    assert answer.status_code == 413

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    answer = await api.client.post("/v1/api/agents", content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


async def test_request_ids_go_in_and_out(api: ApiHarness) -> None:
    answer = await api.client.get("/v1/api/", headers={"x-request-id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    answer = await api.client.get("/v1/api/", headers={"x-request-id": "bad id\x01"})
    assert len(answer.headers["x-request-id"]) == 24
    answer = await api.client.get("/v1/api/", headers={"x-api-key": ""})
    assert answer.headers["x-request-id"]


async def test_what_nobody_expected_is_a_500_that_tells_nothing(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(api.services.store, "agents", broken)
    answer = await api.client.get("/v1/api/agents", headers={"x-request-id": "mine-2"})
    assert answer.status_code == 500
    assert answer.json() == {
        "error": "internal_error",
        "message": "Something went wrong inside the server; the log has it under this request's id",
        "requestId": "mine-2",
    }


async def test_an_answer_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_api(tmp_path, request_seconds=0.1) as api:

        async def stuck(*_: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(api.services.store, "agents", stuck)
        answer = await api.client.get("/v1/api/agents")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]


async def test_routes_and_methods_that_are_not_there(api: ApiHarness) -> None:
    answer = await api.client.get("/v1/nothing")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    answer = await api.client.put(PREFIX)
    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")
    answer = await api.client.get("/v1/nothing", headers={"x-api-key": ""})
    assert answer.status_code == 401


@pytest.mark.parametrize("raw", [b"{", b"[]", b"nonsense", b"\xff", b'{"name": NaN}', b"[" * 100_000, b'"x"', b""])
async def test_bodies_that_are_not_json_objects(api: ApiHarness, raw: bytes) -> None:
    kind = {"content-type": "application/json"}
    answer = await api.client.post("/v1/api/agents", content=raw, headers=kind)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"error", "message"}


async def test_a_database_that_cannot_answer_is_a_503(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("disk I/O error in /var/secret.db")

    for method in ("key_by_digest", "batches"):
        with monkeypatch.context() as patch:
            patch.setattr(api.services.store, method, away)
            answer = await api.client.get(PREFIX)
        assert answer.status_code == 503, method
        assert answer.headers["retry-after"]
        assert answer.json()["error"] == "unavailable"
        assert "secret" not in answer.text
    assert (await api.client.get(PREFIX)).status_code == 200
