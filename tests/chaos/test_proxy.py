"""The proxy that the faults are made with."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from .proxy import Mode, Proxy


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say everything back."""
    try:
        while data := await reader.read(1024):
            writer.write(data)
    except ConnectionError:
        pass
    finally:
        writer.close()


class Line:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def says(self, text: bytes) -> bytes:
        """Send, and what comes back."""
        self.writer.write(text)
        async with asyncio.timeout(5):
            return await self.reader.read(1024)


async def first_byte(port: int) -> bytes:
    """Connect, and wait for a byte."""
    async with asyncio.timeout(5):
        reader, _ = await asyncio.open_connection("127.0.0.1", port)
        return await reader.read(1)


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy before a server that says everything back."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    with Proxy(*server.sockets[0].getsockname()[:2]) as running:
        yield running
    server.close()


@pytest.fixture
async def line(proxy: Proxy) -> AsyncIterator[Line]:
    """A connection through the link `a`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.link("a"))
    yield Line(reader, writer)
    writer.transport.abort()


async def test_it_passes_both_ways(line: Line) -> None:
    assert await line.says(b"hello") == b"hello"


async def test_it_delays(proxy: Proxy, line: Line) -> None:
    await line.says(b"first")
    proxy.delay("a", 0.1)
    began = time.monotonic()
    assert await line.says(b"hello") == b"hello"
    assert time.monotonic() - began >= 0.2


async def test_a_cut_is_a_reset(proxy: Proxy, line: Line) -> None:
    await line.says(b"first")
    assert proxy.cut("a") == 1
    with pytest.raises(ConnectionResetError):
        await line.says(b"hello")


async def test_half_open_passes_nothing_and_closes_nothing_and_goes_on(proxy: Proxy, line: Line) -> None:
    await line.says(b"first")
    proxy.mode("a", Mode.half_open)
    line.writer.write(b"held")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await line.reader.read(1024)
    assert proxy.open_connections("a") == 1
    proxy.heal("a")
    async with asyncio.timeout(5):
        assert await line.reader.read(1024) == b"held"


async def test_half_open_takes_new_connections_and_says_nothing(proxy: Proxy) -> None:
    port = proxy.link("b")
    proxy.mode("b", Mode.half_open)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"held")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await reader.read(1024)
    proxy.heal("b")
    async with asyncio.timeout(5):
        assert await reader.read(1024) == b"held"
    writer.transport.abort()


async def test_refused_connections_end_at_once_and_open_ones_go_on(proxy: Proxy, line: Line) -> None:
    await line.says(b"first")
    proxy.mode("a", Mode.refuse)
    with pytest.raises(ConnectionResetError):
        await first_byte(proxy.port("a"))
    assert await line.says(b"hello") == b"hello"


async def test_links_misbehave_each_by_itself(proxy: Proxy, line: Line) -> None:
    port = proxy.link("b")
    proxy.mode("b", Mode.half_open)
    assert port
    assert await line.says(b"hello") == b"hello"
