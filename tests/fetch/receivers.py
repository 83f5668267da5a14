"""Servers on loopback that answer as they are told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Behaviour = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


ALLOWED = "127.0.0.2"
"""The only address the tests may ask: what is on 127.0.0.1 stands for the machine's own services."""


@dataclass
class Receiver:
    """A server that does what the test says, and keeps what it was asked."""

    port: int
    heads: list[str] = field(default_factory=list)
    open: int = 0
    most: int = 0


@asynccontextmanager
async def serving(
    behaviour: Behaviour, host: str = ALLOWED, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    kept = Receiver(0)
    tasks = set[asyncio.Task[Any]]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        kept.open += 1
        kept.most = max(kept.most, kept.open)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            kept.heads.append(head)
            await behaviour(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            kept.open -= 1
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(answer, host, 0, ssl=tls)
    kept.port = server.sockets[0].getsockname()[1]
    try:
        yield kept
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def says(status: str = "200 OK", body: bytes = b"", **headers: str) -> Behaviour:
    lines = {"content-length": str(len(body)), **{name.replace("_", "-"): text for name, text in headers.items()}}
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)
        await writer.drain()

    return answer
