"""A receiver of webhooks on a real port."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.patience import patience

HOOKS = "/v1/api/webhooks"


@dataclass
class Got:
    """What a receiver was sent."""

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A receiver that answers what it is to answer, and keeps what it got."""

    url: str = ""
    answers: list[str] = field(default_factory=list)
    got: "asyncio.Queue[Got]" = field(default_factory=asyncio.Queue)

    async def next(self) -> Got:
        async with patience():
            return await self.got.get()


@asynccontextmanager
async def receiver(*answers: str) -> AsyncIterator[Receiver]:
    """Answers each of `answers` once, then 204."""
    kept = Receiver(answers=list(answers))

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().strip()
        headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
        lines = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in head.splitlines()[1:]}
        body = await reader.readexactly(int(headers["content-length"]))
        status = kept.answers.pop(0) if kept.answers else "204 No Content"
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        kept.got.put_nowait(Got(lines, body))

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    kept.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?token=private"
    try:
        yield kept
    finally:
        server.close()
        await server.wait_closed()


def check_twelvelabs(got: Got, secret: str) -> Any:
    """What a receiver of the TwelveLabs service does."""
    parts = [part.split("=", 1) for part in got.headers["tl-signature"].split(",")]
    stamp = next(value for name, value in parts if name == "t")
    assert abs(datetime.now(UTC).timestamp() - int(stamp)) < 300
    ours = hmac.new(secret.encode(), f"{stamp}.".encode() + got.body, hashlib.sha256).hexdigest()
    assert any(hmac.compare_digest(ours, value) for name, value in parts if name == "v1")
    return got.json
