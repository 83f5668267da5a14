"""The process: serves or works until a signal, then drains and ends.

`serve` answers the API and runs batches; `work` only runs them, of a database that others serve.
"""

import asyncio
import contextlib
import ctypes
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

from covey.api.kit.services import Services
from covey.domain.errors import Unavailable
from covey.metrics import Metrics
from covey.server.assembly import Server, running
from covey.server.connection_limits import ConnectionLimits, Networks
from covey.server.connections import http_protocol
from covey.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

ANNOUNCE_AGAIN_SECONDS = 1.0

SWITCH_SECONDS = 0.0001
"""How long a thread that wants the interpreter lets another run. A claim takes it once a statement; with Python's 5 ms
a busy event loop made claims so slow that calls came too late for their time and went back."""

HURRY_SECONDS = 5
"""How long open requests may take once nothing is left to wait for."""


class StopAbandoned(Exception):
    """The others gave this process up while it stood still; what it had in hand was settled by them."""

    def __init__(self) -> None:
        super().__init__(
            "The other processes gave this one up, as it had not answered for too long: what it had in hand was "
            "settled. Start it again, for a new life."
        )


class _Http(uvicorn.Server):
    """uvicorn without signal handlers of its own: ours drain first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


Announce = Callable[[Server, str], Awaitable[None]]
"""Is told when the server listens: the server, and its address."""

Application = Callable[[Services], ASGIApp]
"""Makes what answers; what it imports takes longer than all else, and calls need not wait for it."""


async def work(settings: Settings, announce: Callable[[Server, str | None], None]) -> None:
    """Run a worker until the same signals as `serve`. It answers nobody, but at `worker_port`, if that is set, whoever
    asks how it is; `announce` is told where. Raises StopAbandoned, and SettingsError on SQLite, whose one process is
    the server."""
    if settings.database is None:
        raise SettingsError(
            "database: a worker of its own needs PostgreSQL; on SQLite one process does everything: covey serve"
        )
    stopping, hurry = asyncio.Event(), asyncio.Event()
    _handle_signals(stopping, hurry)
    sys.setswitchinterval(SWITCH_SECONDS)
    async with running(settings) as server:
        if settings.worker_port is None:
            announce(server, None)
            server.manager.ready()
            await _until_told(server, stopping, hurry, [])
        else:
            async with _answering(server, _health, settings.host, settings.worker_port, "worker_port") as (
                http,
                address,
            ):
                announce(server, address)
                server.manager.ready()
                await _until_told(server, stopping, hurry, [http])


async def serve(settings: Settings, announce: Announce) -> None:
    """Run the server until SIGTERM, SIGINT or SIGHUP, then drain; a second signal skips the wait.

    Raises StopAbandoned, after a drain, if the other processes on its database gave this one up.
    """
    stopping, hurry = asyncio.Event(), asyncio.Event()
    _handle_signals(stopping, hurry)
    sys.setswitchinterval(SWITCH_SECONDS)
    async with (
        running(settings) as server,
        _answering(server, _whole, settings.host, settings.port, "port") as (http, address),
    ):
        await _announced(announce, server, address, stopping)
        server.manager.ready()
        await _until_told(server, stopping, hurry, [http])


async def _until_told(
    server: Server, stopping: asyncio.Event, hurry: asyncio.Event, parts: list[asyncio.Task[None]]
) -> None:
    """Wait until the process is told to end, by a signal or by the others giving it up, or one of its parts ends by
    itself; then drain. Raises StopAbandoned."""
    events = (stopping, server.worker.evicted)
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait([*waits, *parts], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    await server.drain(hurry)
    if server.worker.evicted.is_set():
        raise StopAbandoned


@contextlib.asynccontextmanager
async def _answering(
    server: Server, application: Application, host: str, port: int, setting: str
) -> AsyncIterator[tuple[asyncio.Task[None], str]]:
    """Answer HTTP: the task that does so, and the address. On leaving, requests that are open have a moment to end.
    Raises SettingsError, naming the `setting`, for a port that cannot be listened on."""
    config = http_config(
        await asyncio.to_thread(application, server.services), server.settings.trusted_proxies, server.services.metrics
    )
    http = _Http(config)
    listener = _bind(host, port, setting)
    serving = asyncio.create_task(http.serve(sockets=[listener]), name="http")
    await _listening(http, serving)
    _give_back()
    try:
        yield serving, _address(listener)
    finally:
        http.should_exit = True
        await serving


def http_config(
    app: ASGIApp, trusted: Networks, metrics: Metrics, limits: ConnectionLimits | None = None
) -> uvicorn.Config:
    """How uvicorn serves `app`: connections are limited, and only `trusted` proxies say who asks."""
    return uvicorn.Config(
        app,
        http=http_protocol(limits or ConnectionLimits(), trusted, metrics.refuse),
        proxy_headers=bool(trusted),
        forwarded_allow_ips=[str(network) for network in trusted],
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=HURRY_SECONDS,
    )


async def _announced(announce: Announce, server: Server, address: str, stopping: asyncio.Event) -> None:
    """Announce the server. A database that goes away at this very moment is waited for: requests are in flight."""
    while not stopping.is_set():
        try:
            await announce(server, address)
            return
        except Unavailable as error:
            log.warning("start_waits_for_database", why=error.message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), ANNOUNCE_AGAIN_SECONDS)


def _whole(services: Services) -> ASGIApp:
    from covey.api.app import create_app

    return create_app(services)


def _health(services: Services) -> ASGIApp:
    from covey.api.app import create_app, health_alone

    return create_app(services, health_alone())


def _give_back() -> None:
    """Give the system back what only the start needed of memory, where the C library can; and spare the collector what
    stays: with it every full collection held the process for 20 ms, and a large request brings on several."""
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _handle_signals(stopping: asyncio.Event, hurry: asyncio.Event) -> None:
    def caught() -> None:
        (hurry if stopping.is_set() else stopping).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, caught)


async def _listening(http: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    """Wait until the server listens. Raises what made it end instead."""
    while not http.started:
        if serving.done():
            serving.result()
            raise RuntimeError("the server ended before it listened")
        await asyncio.sleep(0.01)


def _bind(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket; that it says TCP makes the event loop send answers without Nagle's delay."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        where = f"{host}:{port}"
        raise SettingsError(
            f"host and {setting}: {where} cannot be listened on ({error.strerror}); choose others"
        ) from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
