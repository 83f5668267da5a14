"""Requests without a valid key, over real sockets: those of one address wait for each other."""

import asyncio
import contextlib
import gc
import tracemalloc
from dataclasses import replace

import pytest

from covey.server.connection_limits import KeylessRequests
from tests.api.connecting import LIVEZ, PATIENT, Streams, connected, one_answer
from tests.api.harness import ApiHarness
from tests.api.serving import served

HEAD = LIVEZ + b"\r\n"


async def seconds_for(streams: Streams, head: bytes, count: int) -> float:
    """How long it takes until so many requests that were sent at once are answered."""
    reader, writer = streams
    began = asyncio.get_running_loop().time()
    writer.write(head * count)
    for _ in range(count):
        await one_answer(reader)
    return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("key", ["no", "a wrong"])
async def test_requests_without_a_key_wait_for_each_other(api: ApiHarness, key: str) -> None:
    head = HEAD if key == "no" else b"GET /v1/api/agents HTTP/1.1\r\nx-api-key: cov_wrong\r\n\r\n"
    async with (
        served(api, replace(PATIENT, keyless_requests=10)) as port,
        connected(port, source="127.0.0.2") as one,
        connected(port, source="127.0.0.2") as two,
    ):
        taken = await asyncio.gather(seconds_for(one, head, 16), seconds_for(two, head, 16))
        assert max(taken) > 1.0, "32 requests at ten a second, 20 of them at once"


def test_each_address_has_a_bucket_of_its_own() -> None:
    requests = KeylessRequests(10)
    assert [requests.wait("one", 5.0) for _ in range(20)] == [0.0] * 20, "two seconds' worth at once"
    assert requests.wait("one", 5.0) == pytest.approx(0.1)
    assert requests.wait("two", 5.0) == 0.0
    requests.forget("one")
    assert requests.wait("one", 5.0) == pytest.approx(0.1), "as if the one before had not been"
    assert max(requests.wait("one", 5.0) for _ in range(100)) == pytest.approx(1.0), "nobody waits longer"
    assert requests.wait("one", 8.1) == 0.0, "three seconds later it has leaked away"


def test_addresses_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeylessRequests, "REMEMBERED", 10)
    requests = KeylessRequests(10)
    for n in range(100):
        requests.wait(f"address {n}", float(n))
    assert len(requests) <= 11


async def test_requests_with_a_key_do_not_wait(api: ApiHarness) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in api.headers().items()).encode()
    keyed = b"GET /v1/api/agents HTTP/1.1\r\n" + lines + b"\r\n"
    async with served(api, replace(PATIENT, keyless_requests=1)) as port:
        taken = 0.0
        for _ in range(40):
            async with connected(port) as streams:
                taken += await seconds_for(streams, keyed, 2)
        assert taken < 30, "40 connections at one a second; the first of each is counted until its key is known"


async def test_a_trusted_proxys_requests_do_not_wait(api: ApiHarness) -> None:
    async with (
        served(api, replace(PATIENT, keyless_requests=1), "127.0.0.2") as port,
        connected(port, source="127.0.0.2") as streams,
    ):
        assert await seconds_for(streams, HEAD, 100) < 30


async def test_what_waits_is_gone_with_its_connection(api: ApiHarness) -> None:
    """Whoever connects again and again has many connections that are closed and were not collected yet."""
    tracemalloc.start()
    gc.disable()
    try:
        async with served(api, replace(PATIENT, keyless_requests=1, per_address=2)) as port:
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(60):
                    _, writer = await stack.enter_async_context(connected(port))
                    writer.write(HEAD * 10_000)
                    await asyncio.sleep(0.01)
            assert tracemalloc.get_traced_memory()[0] < 4 * 2**20
    finally:
        gc.enable()
        tracemalloc.stop()
