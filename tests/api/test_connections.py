"""Connections over real sockets: what never becomes a request is cut off, and stands in nobody's way."""

import asyncio
import contextlib
import resource
import socket
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from covey.api.app import document
from covey.domain.account import AgentRecord
from covey.server.connection_limits import ConnectionLimits
from covey.server.connections import REFUSED_BYTES
from tests.api.connecting import LIVEZ, PATIENT, Streams, connected, one_answer
from tests.api.harness import ApiHarness
from tests.api.serving import chunk, request, served

HEAD = LIVEZ + b"\r\n"
CHUNKED = b"POST /v1/api/agents HTTP/1.1\r\nhost: covey\r\ntransfer-encoding: chunked\r\n"

ENDLESS = 64 * 1024 * 1024
"""What a test that is never refused sends before it gives up."""


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Everything up to the end of the connection, however it ends."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while block := await asyncio.wait_for(reader.read(65536), 30):
            found += block
    return found


async def flood(streams: Streams, piece: bytes) -> tuple[bytes, int]:
    """Send a piece again and again until the server ends the connection; its answer, and how much it let in."""
    reader, writer = streams
    answer, sent = asyncio.create_task(rest(reader)), 0
    with contextlib.suppress(ConnectionError):
        while sent < ENDLESS and not answer.done():
            writer.write(piece)
            sent += len(piece)
            drained = asyncio.create_task(writer.drain())
            await asyncio.wait([drained, answer], return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                drained.cancel()
            await asyncio.gather(drained, return_exceptions=True)
            if writer.is_closing():
                break
    return await answer, sent


def refused(api: ApiHarness, why: str) -> float:
    """How often the server counted this refusal."""
    return api.services.metrics.registry.get_sample_value("covey_http_refused_total", {"why": why}) or 0.0


KINDS = {
    "an endless value": (LIVEZ + b"x-a: ", b"a" * 65536, 431),
    "a name that never ends": (LIVEZ, b"a" * 65536, 431),
    "an endless URL": (b"GET /", b"a" * 65536, 414),
    "an endless query": (b"GET /livez?", b"a=b&" * 16384, 414),
    "headers without end": (LIVEZ, b"a: b\r\n" * 8192, 431),
    "empty lines": (b"", b"\r\n" * 32768, 431),
    "spaces before a value": (LIVEZ + b"x-a:", b" " * 65536, 431),
    "one that follows another": (HEAD + b"GET /livez HTTP/1.1\r\nx-a: ", b"a" * 65536, 431),
    "a key": (b"GET /v1/api/agents HTTP/1.1\r\nx-api-key: ", b"k" * 65536, 431),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_head_without_an_end_is_refused_and_cut_off(api: ApiHarness, kind: str) -> None:
    head, more, status = KINDS[kind]
    async with served(api, PATIENT) as port, connected(port) as (reader, writer):
        writer.write(head)
        answer, sent = await flood((reader, writer), more)
    assert b"HTTP/1.1 %d " % status in answer
    assert b"connection: close" in answer
    assert sent < ENDLESS // 2


async def test_endless_heads_take_no_memory(api: ApiHarness) -> None:
    """A megabyte each is more than client and server need together."""
    async with served(api, PATIENT) as port, contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(connected(port)) for _ in range(3)]
        tracemalloc.start()
        try:
            answers = await asyncio.gather(*(flood(line, LIVEZ + b"x-a: " + b"a" * 65536) for line in lines))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert all(answer.startswith(b"HTTP/1.1 431 ") for answer, _ in answers)
    assert peak < 3 * 1024 * 1024


async def test_a_key_of_a_megabyte_is_refused_and_its_sender_reads_why(api: ApiHarness) -> None:
    key = b"k" * (REFUSED_BYTES - 1000)
    async with served(api, PATIENT) as port, connected(port) as (reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        writer.transport.set_write_buffer_limits(0)
        writer.write(LIVEZ + b"x-api-key: " + key + b"\r\n\r\n")
        await writer.drain()
        answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"headers_too_large"' in answer
    assert b"32,768 bytes" in answer


async def test_a_head_of_just_the_limits_is_served(api: ApiHarness) -> None:
    most = b"".join(b"x-%d: y\r\n" % n for n in range(99))
    padded = LIVEZ + b"x-a: " + b"a" * (32 * 1024 - len(LIVEZ) - len(b"x-a: \r\n\r\n")) + b"\r\n\r\n"
    assert len(padded) == 32 * 1024
    async with served(api, PATIENT) as port, connected(port) as (reader, writer):
        for head in (LIVEZ + most + b"\r\n", padded, padded):
            writer.write(head)
            assert await one_answer(reader) == b"HTTP/1.1 200 OK"
        writer.write(LIVEZ + most + b"x-100: y\r\n\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 431 ")
    assert refused(api, "too_many_headers") == 1


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_a_head_may_come_in_any_pieces(api: ApiHarness, size: int) -> None:
    """The end of the headers is found wherever it is cut, and what follows belongs to the body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in api.headers().items())
    body = b'{"name": "x", "greeting": "y"}'
    head = (
        f"POST /v1/api/agents HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{lines}\r\n"
    )
    whole = b"\r\n\r\n" + head.encode() + body + HEAD
    async with served(api, PATIENT) as port, connected(port) as (reader, writer):
        for start in range(0, len(whole), size):
            writer.write(whole[start : start + size])
            await writer.drain()
        assert await one_answer(reader) == b"HTTP/1.1 200 OK"
        assert await one_answer(reader) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "more", [b"0\r\n" + b"x-a: " + b"a" * 65536, b"0\r\n" + b"a: b\r\n" * 8192, b"1;" + b"a" * 65536]
)
async def test_trailers_and_extensions_of_chunks_have_an_end(api: ApiHarness, more: bytes) -> None:
    """With a key, whose body is read."""
    async with served(api, PATIENT) as port, connected(port) as (reader, writer):
        writer.write(request(api, "operate") + chunk(b"--x\r\n") + more)
        answer, _ = await flood((reader, writer), b"a" * 65536)
    assert answer.startswith(b"HTTP/1.1 4")


async def test_trailers_are_nobodys_headers(api: ApiHarness) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in api.headers().items()).encode()
    kind = b"content-type: application/json\r\n"
    trailed = CHUNKED + kind + lines + b"\r\n" + chunk(b'{"name": "x", "greeting": "y"}')
    trailed += b"0\r\n" + b"x-request-id: mine\r\nx-api-key: nobody\r\n" * 60 + b"\r\n"
    async with served(api, PATIENT) as port, connected(port) as (reader, writer):
        writer.write(trailed)
        assert await one_answer(reader) == b"HTTP/1.1 200 OK"
        writer.write(b"GET /v1/api/agents HTTP/1.1\r\n" + lines + b"\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"mine" not in head


SLOW = {
    "silent": ([], b""),
    "half a head": ([LIVEZ], b"HTTP/1.1 408 "),
    "half a line": ([b"GET /li"], b"HTTP/1.1 408 "),
    "an empty line": ([b"\r\n"], b"HTTP/1.1 408 "),
    "half of the next": ([HEAD, LIVEZ], b"HTTP/1.1 408 "),
    "a body that nobody waits for": ([LIVEZ + b"content-length: 5\r\n\r\n", b"a"], b""),
}


@pytest.mark.parametrize("kind", SLOW)
async def test_a_head_that_does_not_come_is_not_waited_for(api: ApiHarness, kind: str) -> None:
    parts, end = SLOW[kind]
    async with served(api, replace(PATIENT, head_seconds=0.2)) as port, connected(port) as (reader, writer):
        for n, part in enumerate(parts):
            writer.write(part)
            if part.endswith(b"\r\n\r\n") and n < len(parts):
                assert await one_answer(reader) == b"HTTP/1.1 200 OK"
        answer = await rest(reader)
    assert answer.startswith(end)
    assert bool(answer) == bool(end)


async def test_a_head_that_drips_is_closed_in_the_same_time(api: ApiHarness) -> None:
    async with served(api, replace(PATIENT, head_seconds=0.3)) as port, connected(port) as (reader, writer):
        answer = asyncio.create_task(rest(reader))
        writer.write(LIVEZ + b"x-a: ")
        while not answer.done():
            writer.write(b"a")
            await asyncio.wait([answer], timeout=0.02)
        assert (await answer).startswith(b"HTTP/1.1 408 ")


async def test_time_for_the_head_is_no_time_for_the_body_or_the_answer(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is in progress may take longer, also while half of the next one is there already."""
    reached, go_on, put = asyncio.Event(), asyncio.Event(), api.services.store.put_agent

    async def stuck(record: AgentRecord) -> None:
        reached.set()
        await go_on.wait()
        await put(record)

    monkeypatch.setattr(api.services.store, "put_agent", stuck)
    lines = "".join(f"{name}: {value}\r\n" for name, value in api.headers().items()).encode()
    body = b'{"name": "x", "greeting": "y"}'
    kind = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
    async with served(api, replace(PATIENT, head_seconds=0.2)) as port, connected(port) as (reader, writer):
        writer.write(b"POST /v1/api/agents HTTP/1.1\r\n" + lines + kind + b"\r\n" + body)
        await reached.wait()
        writer.write(b"GET /li")
        for _ in range(2):
            async with connected(port) as (silent, _):
                assert await rest(silent) == b""
        go_on.set()
        assert await one_answer(reader) == b"HTTP/1.1 200 OK"
        writer.write(b"vez HTTP/1.1\r\n\r\n")
        assert await one_answer(reader) == b"HTTP/1.1 200 OK"


@contextlib.contextmanager
def files(most: int) -> Iterator[None]:
    """So many files may be open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(most, before[1])), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_two_thousand_silent_connections_are_closed(api: ApiHarness) -> None:
    """Here by their time alone."""
    count = 2000
    with files(2 * count + 200):
        async with served(api, replace(PATIENT, head_seconds=0.5)) as port, contextlib.AsyncExitStack() as stack:
            readers = [(await stack.enter_async_context(connected(port)))[0] for _ in range(count)]
            assert await asyncio.gather(*(rest(reader) for reader in readers)) == [b""] * count
    assert refused(api, "silent") == count


async def open_ones(readers: list[asyncio.StreamReader], most: int) -> list[asyncio.StreamReader]:
    """Those that are still open when no more than `most` are."""
    async with asyncio.timeout(60):
        while len(left := [reader for reader in readers if not reader.at_eof()]) > most:
            await asyncio.sleep(0.01)
    return left


async def test_an_address_has_only_so_many_connections_without_a_request(api: ApiHarness) -> None:
    limits = ConnectionLimits(total=10_000, head_seconds=3600.0)
    assert limits.per_address == 64
    async with served(api, limits) as port, contextlib.AsyncExitStack() as stack:

        async def open_from(source: str, count: int) -> list[asyncio.StreamReader]:
            found = [(await stack.enter_async_context(connected(port, source=source)))[0] for _ in range(count)]
            await stack.enter_async_context(connected(port, source="127.0.0.9"))
            return found

        first, other = await open_from("127.0.0.2", 100), await open_from("127.0.0.3", 10)
        assert len(await open_ones(first, 64)) == 64
        assert await open_ones(first, 64) == first[-64:], "those that waited longest are closed"
        assert not any(reader.at_eof() for reader in other)
        async with connected(port, source="127.0.0.2") as (reader, writer):
            writer.write(HEAD)
            assert await one_answer(reader) == b"HTTP/1.1 200 OK", "whoever sends a request is answered"
    assert refused(api, "too_many_connections") == 100 - 64 + 1


async def test_a_trusted_proxy_has_only_the_limit_of_all(api: ApiHarness) -> None:
    limits = replace(PATIENT, per_address=4, total=20)
    async with served(api, limits, "127.0.0.2") as port, contextlib.AsyncExitStack() as stack:
        readers = [(await stack.enter_async_context(connected(port, source="127.0.0.2")))[0] for _ in range(20)]
        async with connected(port, source="127.0.0.2") as (reader, writer):
            writer.write(HEAD)
            await one_answer(reader)
        assert sum(not reader.at_eof() for reader in readers) >= 19
        more = [(await stack.enter_async_context(connected(port, source="127.0.0.2")))[0] for _ in range(20)]
        assert len(await open_ones(readers + more, 20)) == 20


async def test_requests_in_progress_and_streams_do_not_count(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, go_on, agents = 0, asyncio.Event(), api.services.store.agents

    async def stuck(workspace: str) -> object:
        nonlocal waiting
        waiting += 1
        await go_on.wait()
        return await agents(workspace)

    monkeypatch.setattr(api.services.store, "agents", stuck)
    lines = "".join(f"{name}: {value}\r\n" for name, value in api.headers().items()).encode()
    async with (
        served(api, replace(PATIENT, per_address=2, total=4)) as port,
        contextlib.AsyncExitStack() as stack,
    ):
        busy = []
        for _ in range(10):
            reader, writer = await stack.enter_async_context(connected(port))
            writer.write(b"GET /v1/api/agents HTTP/1.1\r\n" + lines + b"\r\n")
            busy.append(reader)
            while waiting < len(busy):
                await asyncio.sleep(0.005)
        silent = [(await stack.enter_async_context(connected(port)))[0] for _ in range(10)]
        assert len(await open_ones(silent, 2)) == 2
        go_on.set()
        assert [await one_answer(reader) for reader in busy] == [b"HTTP/1.1 200 OK"] * 10
        assert len(await open_ones(silent + busy, 2)) <= 2
    assert refused(api, "too_many_connections") == 8 + 10, "who has been answered counts again"


async def test_uploads_that_were_refused_and_never_come_count(api: ApiHarness) -> None:
    """Their answer is out, and their connections stay for a moment, so that it can be read."""
    async with served(api, replace(PATIENT, per_address=3)) as port, contextlib.AsyncExitStack() as stack:
        readers = []
        for _ in range(12):
            reader, writer = await stack.enter_async_context(connected(port))
            writer.write(request(api, None))
            assert await one_answer(reader) == b"HTTP/1.1 401 Unauthorized"
            readers.append(reader)
        assert len(await open_ones(readers, 3)) <= 3
    assert refused(api, "too_many_connections") >= 9


async def test_an_answer_that_nobody_reads_is_not_kept(api: ApiHarness) -> None:
    async with served(api, replace(PATIENT, unread_seconds=0.2)) as port:
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        line.connect(("127.0.0.1", port))
        with line:
            line.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 20)
            line.setblocking(False)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(60):
                while not refused(api, "unread"):
                    await asyncio.sleep(0.01)
            found = 0
            with contextlib.suppress(ConnectionError):
                while block := await loop.sock_recv(line, 65536):
                    found += len(block)
    assert found < 20 * len(document())


async def test_chunks_of_one_byte_are_not_parsed_for_nobody(api: ApiHarness) -> None:
    """The body of a request that is refused is thrown away as it comes."""
    async with served(api, PATIENT) as port, connected(port) as (reader, writer):
        writer.write(request(api, None) + b"1\r\na\r\n" * 10_000 + b"no chunk at all")
        assert await one_answer(reader) == b"HTTP/1.1 401 Unauthorized"
        writer.write_eof()
        assert await rest(reader) == b""
    assert not refused(api, "bad_request")


async def test_no_body_is_parsed_before_its_key_is_known(api: ApiHarness) -> None:
    """A key of the wrong role is looked up in the database first."""
    async with served(api, PATIENT) as port, connected(port) as (reader, writer):
        writer.write(request(api, "read") + b"no chunk at all\r\n" * 100)
        assert await one_answer(reader) == b"HTTP/1.1 403 Forbidden"
    assert not refused(api, "bad_request")


async def test_requests_that_come_at_once_are_answered_in_order(api: ApiHarness) -> None:
    async with served(api, replace(PATIENT, keyless_requests=100_000)) as port, connected(port) as (reader, writer):
        count = 500
        for n in range(count):
            writer.write(b"GET /livez HTTP/1.1\r\nx-request-id: r-%d\r\n\r\n" % n)
        for n in range(count):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            assert b"x-request-id: r-%d\r\n" % n in head + b"\r\n"
            await reader.readexactly(len(b'{"status":"ok"}'))


NEXT = {
    "nonsense": (b"nonsense\r\n\r\n", b"HTTP/1.1 400 "),
    "an endless head": (b"GET /livez HTTP/1.1\r\nx-a: " + b"a" * 40_000, b"HTTP/1.1 431 "),
    "a request": (HEAD, b"HTTP/1.1 200 "),
}
ENCODED = {"no body": b"", "a length": b'{"name": "x", "greeting": "y"}', "chunks": b'{"name": "x", "greeting": "y"}'}


@pytest.mark.parametrize("following", NEXT)
@pytest.mark.parametrize("encoded", ENCODED)
async def test_what_follows_a_request_waits_for_its_answer(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, following: str, encoded: str
) -> None:
    """It takes the place of no answer. After chunks, whose end is found too late, the connection closes instead."""
    reached, go_on, body = asyncio.Event(), asyncio.Event(), ENCODED[encoded]

    async def stuck(*_: object) -> list[object]:
        reached.set()
        await go_on.wait()
        return []

    monkeypatch.setattr(api.services.store, "put_agent" if body else "agents", stuck)
    headers = {**api.headers(), "content-type": "application/json"}
    headers |= {"transfer-encoding": "chunked"} if encoded == "chunks" else {"content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    head = (b"POST" if body else b"GET") + b" /v1/api/agents HTTP/1.1\r\n" + lines + b"\r\n"
    more, then = NEXT[following]
    async with served(api, PATIENT) as port, connected(port) as (reader, writer):
        writer.write(head + (chunk(body) + b"0\r\n\r\n" if encoded == "chunks" else body) + more)
        await reached.wait()
        async with connected(port) as (other, others):
            others.write(HEAD)
            assert await one_answer(other) == b"HTTP/1.1 200 OK"
        go_on.set()
        assert await one_answer(reader) == b"HTTP/1.1 200 OK"
        answer = await asyncio.wait_for(reader.readline(), 30)
    assert answer.startswith(then) if encoded != "chunks" else answer == b""


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
async def test_nothing_can_be_upgraded_to(api: ApiHarness, upgrade: bytes) -> None:
    wish = b"connection: upgrade\r\nupgrade: " + upgrade + b"\r\n"
    async with served(api, PATIENT) as port:
        async with connected(port) as (reader, writer):
            for _ in range(2):
                writer.write(LIVEZ + wish + b"\r\n")
                assert await one_answer(reader) == b"HTTP/1.1 200 OK"
        async with connected(port) as (reader, writer):
            writer.write(b"POST /v1/api/agents HTTP/1.1\r\n" + wish + b"content-length: 2\r\n\r\n{}")
            answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"without Upgrade" in answer


@pytest.mark.parametrize(
    "raw",
    [b"GET /livez HTTP/1.0\r\n\r\n", b"GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n"],
    ids=["HTTP/1.0", "close"],
)
async def test_who_wants_it_closed_gets_it_closed(api: ApiHarness, raw: bytes) -> None:
    async with served(api, PATIENT) as port, connected(port) as (reader, writer):
        writer.write(raw)
        answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "raw", [b"nonsense\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01"]
)
async def test_what_is_not_http_gets_a_sentence(api: ApiHarness, raw: bytes) -> None:
    async with served(api, replace(PATIENT, head_seconds=0.5)) as port, connected(port) as (reader, writer):
        writer.write(raw)
        answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"This is not a valid HTTP request" in answer


async def test_an_upload_in_many_pieces_comes_whole(api: ApiHarness, tmp_path: Path) -> None:
    """Also while the parser waits for the application again and again."""
    rows = b"".join(b"+1212555%04d,Ann%d\n" % (n, n) for n in range(100, 200))
    body = b'--x\r\nContent-Disposition: form-data; name="agentId"\r\n\r\n%s\r\n' % (await api.agent()).encode()
    body += b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    body += b"phone_number,first_name\n" + rows + b"x" * 300_000 + b"\r\n--x--\r\n"
    async with served(api, PATIENT) as port, connected(port) as (reader, writer):
        writer.write(request(api, "operate", path="/v1/api/batch-calls/validate"))
        for start in range(0, len(body), 1000):
            writer.write(chunk(body[start : start + 1000]))
        writer.write(b"0\r\n\r\n" + HEAD)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    assert head.startswith(b"HTTP/1.1 200 OK"), head
