"""Connections to a served API, byte by byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from covey.server.connection_limits import ConnectionLimits

LIVEZ = b"GET /livez HTTP/1.1\r\nhost: covey\r\n"


PATIENT = ConnectionLimits(head_seconds=3600.0, per_address=10_000, total=10_000)
"""Limits that no test reaches by accident; each lowers its own."""


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(port: int, host: str = "127.0.0.1", source: str | None = None) -> AsyncIterator[Streams]:
    """A connection, which is torn down at the end."""
    local = (source, 0) if source else None
    reader, writer = await asyncio.open_connection(host, port, local_addr=local)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def one_answer(reader: asyncio.StreamReader) -> bytes:
    """An answer's status line; its body is read, too."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    await asyncio.wait_for(reader.readexactly(length), 30)
    return head.split(b"\r\n")[0]
