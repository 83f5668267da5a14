"""The server: everything wired together in one process, started, drained and stopped in the right order.

`serve` answers the API and runs batches; `work` only runs them, of a database that others serve.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
import uvicorn
from starlette.types import ASGIApp

from covey.api.services import Services, voice_check
from covey.calls.config import KIND
from covey.calls.files import open_calls_folder, skipped_path
from covey.calls.keeper import Keeper
from covey.calls.trunks.markers import clear, left_open
from covey.calls.wiring import CallParts, call_parts
from covey.database import Opened, opened
from covey.domain.clock import Clock, SystemClock
from covey.domain.errors import Unavailable
from covey.domain.lane import Lane
from covey.engine.health import Health
from covey.engine.hints import Hints
from covey.engine.liveness import Settler
from covey.engine.loop import Loop
from covey.engine.submission import Submission
from covey.engine.sweeper import Sweeper
from covey.engine.worker import Worker
from covey.metrics import Metrics
from covey.settings import Settings, SettingsError
from covey.store.ports import Store

log = structlog.get_logger(__name__)

HANGING_UP = timedelta(seconds=30)
"""How long a phone may stay in a call whose caller is gone, until it hears nothing for long enough."""

ANNOUNCE_AGAIN_SECONDS = 1.0

HURRY_SECONDS = 5
"""How long open requests may take once nothing is left to wait for."""


class GivenUp(Exception):
    """The others gave this process up while it stood still; what it had in hand was settled by them."""

    def __init__(self) -> None:
        super().__init__(
            "The other processes gave this one up, as it had not answered for too long: what it had in hand was "
            "settled. Start it again, for a new life."
        )


@dataclass(slots=True)
class Server:
    """The parts of a running server."""

    settings: Settings
    store: Store
    worker: Worker
    calls: CallParts
    services: Services
    health: Health
    sweeper: Sweeper
    keeper: Keeper
    settler: Settler | None
    draining: bool = False

    @property
    def drain_seconds(self) -> float:
        """How long a drain waits for active runs: as set, else the longest call of any trunk."""
        if self.settings.drain_seconds is not None:
            return self.settings.drain_seconds
        return max(_longest(self.settings).values()).total_seconds()

    @property
    def loops(self) -> list[Loop | Keeper]:
        """What runs beside the worker, in the order in which it starts."""
        return [self.health, self.sweeper, self.keeper, *([self.settler] if self.settler else [])]

    async def drain(self, hurry: asyncio.Event) -> None:
        """Claim no more, see the active runs end; see `Worker.drain`."""
        self.draining = True
        log.info("draining", runs=self.worker.active, seconds=self.drain_seconds)
        await self.worker.drain(self.drain_seconds, hurry)


@contextlib.asynccontextmanager
async def running(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Server]:
    """A server's parts, started; on leaving they end, whatever is active is dropped.

    Raises StoreError if the data folder cannot be used, SettingsError for a trunk that cannot be driven.
    """
    hints = Hints()
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened(settings, clock, hints.heard))
        clock = clock or SystemClock()
        server = await _assemble(settings, clock, hints, database)
        stack.push_async_callback(server.calls.close)
        await server.worker.enlist(_hold(settings, clock, shared=database.shared))
        server.worker.start()
        for loop in server.loops:
            loop.start()
        stack.push_async_callback(_end_loops, server)
        yield server


def _longest(settings: Settings) -> dict[str, timedelta]:
    """How long a call of each trunk may take, ringing too."""
    return {
        name: timedelta(seconds=trunk.longest_seconds + trunk.ring_seconds) for name, trunk in settings.trunks.items()
    }


def _hold(settings: Settings, clock: Clock, *, shared: bool) -> dict[str, timedelta]:
    """How long the channels and numbers of dead workers' calls stay taken, by trunk.

    Where the database is shared, until their longest call must have ended: a worker that was given up may still talk.
    Else an earlier life's are known: until phones that nobody said goodbye to have given up by themselves, and not at
    all if all calls were ended.
    """
    folder = open_calls_folder(settings.data)
    alive = left_open(folder)
    clear(folder)
    if shared:
        return _longest(settings)
    if alive is None or (left := datetime.fromtimestamp(alive, UTC) + HANGING_UP - clock.now()) <= timedelta(0):
        return {}
    log.warning("calls of an earlier life may still be up: their channels stay taken for a while")
    return dict.fromkeys(settings.trunks, left)


async def _end_loops(server: Server) -> None:
    if server.worker.active or not server.draining:
        hurry = asyncio.Event()
        hurry.set()
        await server.drain(hurry)
    for loop in reversed(server.loops):
        await loop.stop()
    await server.worker.stop()


async def _assemble(settings: Settings, clock: Clock, hints: Hints, database: Opened) -> Server:
    store, metrics = database.store, Metrics()
    calls = call_parts(settings, clock, metrics, keep_open=database.keep_open)
    for name, trunk in settings.trunks.items():
        await store.put_lane(Lane(name, trunk.channels, trunk.calls_per_second))
    room = max(trunk.channels for trunk in settings.trunks.values())
    worker = Worker(store, clock, hints, calls.runners, room, metrics)
    server: list[Server] = []
    services = Services(
        store=store,
        submission=Submission(store, hints, worker.id),
        hints=hints,
        clock=clock,
        settings=settings,
        metrics=metrics,
        worker=worker.id,
        recordings=calls.recordings,
        forget_clips=calls.clips.forget,
        check_voice=voice_check(calls.synthesizer),
        ready=lambda: "the server is draining" if server and server[0].draining else None,
        write_queue=lambda: store.waiting,
    )
    keep = settings.retention.calls_days
    retention = {KIND: None if keep is None else timedelta(days=keep)}

    async def forget_files(batch: str) -> None:
        await calls.recordings.forget(batch)
        await asyncio.to_thread(skipped_path(settings.data, batch).unlink, missing_ok=True)

    lanes = None if database.shared else list(settings.trunks)
    sweeper = Sweeper(store, clock, hints, worker.id, lanes, retention, forget_files)
    health = Health(store, clock, hints, calls.runners)
    keep = settings.retention.recordings_days
    keeper = Keeper(calls.recordings, clock, None if keep is None else timedelta(days=keep))
    settler = Settler(worker, _longest(settings)) if database.shared else None
    server.append(Server(settings, store, worker, calls, services, health, sweeper, keeper, settler))
    return server[0]


class _Http(uvicorn.Server):
    """uvicorn without signal handlers of its own: ours drain first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


Announce = Callable[[Server, str], Awaitable[None]]
"""Is told when the server listens: the server, and its address."""


async def work(settings: Settings, announce: Callable[[Server], None]) -> None:
    """Run a worker that answers nobody, until the same signals as `serve`. Raises GivenUp, and SettingsError on SQLite,
    whose one process is the server."""
    if settings.database is None:
        raise SettingsError(
            "database: a worker of its own needs PostgreSQL; on SQLite one process does everything: covey serve"
        )
    stopping, hurry = asyncio.Event(), asyncio.Event()
    _handle_signals(stopping, hurry)
    async with running(settings) as server:
        announce(server)
        await _told(stopping, server)
        await server.drain(hurry)
        if server.worker.given_up.is_set():
            raise GivenUp


async def _told(stopping: asyncio.Event, server: Server) -> None:
    """Wait until the process is told to end, by a signal or by the others giving it up."""
    waits = [asyncio.create_task(event.wait()) for event in (stopping, server.worker.given_up)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def serve(settings: Settings, announce: Announce) -> None:
    """Run the server until SIGTERM, SIGINT or SIGHUP, then drain; a second signal skips the wait.

    Raises GivenUp, after a drain, if the other processes on its database gave this one up.
    """
    stopping, hurry = asyncio.Event(), asyncio.Event()
    _handle_signals(stopping, hurry)
    async with running(settings) as server:
        config = uvicorn.Config(
            await asyncio.to_thread(_application, server.services),
            log_config=None,
            access_log=False,
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=HURRY_SECONDS,
        )
        http = _Http(config)
        listener = _bind(settings)
        serving = asyncio.create_task(http.serve(sockets=[listener]), name="http")
        await _listening(http, serving)
        await _announced(announce, server, _address(listener), stopping)
        told = asyncio.create_task(_told(stopping, server))
        await asyncio.wait([serving, told], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        await server.drain(hurry)
        http.should_exit = True
        await serving
        if server.worker.given_up.is_set():
            raise GivenUp


async def _announced(announce: Announce, server: Server, address: str, stopping: asyncio.Event) -> None:
    """Announce the server. A database that goes away at this very moment is waited for: requests are in flight."""
    while not stopping.is_set():
        try:
            await announce(server, address)
            return
        except Unavailable as error:
            log.warning("the start waits for the database", why=error.message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), ANNOUNCE_AGAIN_SECONDS)


def _application(services: Services) -> ASGIApp:
    """The HTTP application. Importing it takes longer than all else, and calls need not wait for it."""
    from covey.api.app import create_app

    return create_app(services)


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


def _bind(settings: Settings) -> socket.socket:
    """A listening socket; that it says TCP makes the event loop send answers without Nagle's delay."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise SettingsError(
            f"host and port: {where} cannot be listened on ({error.strerror}); choose others"
        ) from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
