"""An API served on a real port, and requests written byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import uvicorn

from covey.server.connection_limits import ConnectionLimits
from covey.server.process import _bind, http_config
from tests.api.harness import PREFIX, ApiHarness

FORM = "multipart/form-data; boundary=x"


@asynccontextmanager
async def served(
    api: ApiHarness, limits: ConnectionLimits | None = None, *trusted: str, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """The app on a loopback port, behind the protocol that the server has. `trusted` are its proxies."""
    proxies = [ip_network(one) for one in trusted]
    listener = _bind(host, 0, "port")
    config = http_config(api.app, proxies, api.services.metrics, limits)
    server = uvicorn.Server(config)
    began = asyncio.Event()
    startup: Callable[..., Any] = server.startup

    async def started(*given: Any, **named: Any) -> None:
        await startup(*given, **named)
        began.set()

    server.startup = started  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await began.wait()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


def request(api: ApiHarness, key: str | None, *more: str, path: str = PREFIX) -> bytes:
    """The head of a chunked upload."""
    headers = api.headers(key) if key else {}
    lines = [f"POST {path} HTTP/1.1", "host: covey", "transfer-encoding: chunked", f"content-type: {FORM}", *more]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
