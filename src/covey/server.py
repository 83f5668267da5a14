"""The server: everything wired together in one process, started, drained and stopped in the right order."""

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
from covey.domain.clock import Clock, SystemClock
from covey.domain.lane import Lane
from covey.engine.health import Health
from covey.engine.hints import Hints
from covey.engine.submission import Submission
from covey.engine.sweeper import Sweeper
from covey.engine.worker import Worker
from covey.metrics import Metrics
from covey.settings import Settings, SettingsError
from covey.store.sqlite import SqliteStore

log = structlog.get_logger(__name__)

DATABASE = "covey.db"
HANGING_UP = timedelta(seconds=30)
"""How long a phone may stay in a call whose caller is gone, until it hears nothing for long enough."""

HURRY_SECONDS = 5
"""How long open requests may take once nothing is left to wait for."""


@dataclass(slots=True)
class Server:
    """The parts of a running server."""

    settings: Settings
    store: SqliteStore
    worker: Worker
    calls: CallParts
    services: Services
    health: Health
    sweeper: Sweeper
    keeper: Keeper
    draining: bool = False

    @property
    def drain_seconds(self) -> float:
        """How long a drain waits for active runs: as set, else the longest call of any trunk."""
        if self.settings.drain_seconds is not None:
            return self.settings.drain_seconds
        return max(trunk.longest_seconds + trunk.ring_seconds for trunk in self.settings.trunks.values())

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
    clock = clock or SystemClock()
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = SqliteStore(settings.data / DATABASE, clock)
    await store.open()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        server = await _assemble(settings, clock, store)
        stack.push_async_callback(server.calls.close)
        await server.worker.enlist(_held_until(settings, clock))
        server.worker.start()
        server.health.start()
        server.sweeper.start()
        server.keeper.start()
        stack.push_async_callback(_end_loops, server)
        yield server


def _held_until(settings: Settings, clock: Clock) -> datetime | None:
    """Until when the channels and numbers of an earlier life's calls stay taken: None if all of them were ended; else
    until phones that nobody said goodbye to have given up by themselves."""
    folder = open_calls_folder(settings.data)
    alive = left_open(folder)
    clear(folder)
    if alive is None or (until := datetime.fromtimestamp(alive, UTC) + HANGING_UP) <= clock.now():
        return None
    log.warning("calls of an earlier life may still be up: their channels stay taken for a while")
    return until


async def _end_loops(server: Server) -> None:
    if server.worker.active or not server.draining:
        hurry = asyncio.Event()
        hurry.set()
        await server.drain(hurry)
    await server.keeper.stop()
    await server.sweeper.stop()
    await server.health.stop()
    await server.worker.stop()


async def _assemble(settings: Settings, clock: Clock, store: SqliteStore) -> Server:
    hints, metrics = Hints(), Metrics()
    assert store.lock.fd is not None, "an open store has its lock"
    calls = call_parts(settings, clock, metrics, keep_open=[store.lock.fd])
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
        write_queue=lambda: store.writer.waiting,
    )
    keep = settings.retention.calls_days
    retention = {KIND: None if keep is None else timedelta(days=keep)}

    async def forget_files(batch: str) -> None:
        await calls.recordings.forget(batch)
        await asyncio.to_thread(skipped_path(settings.data, batch).unlink, missing_ok=True)

    sweeper = Sweeper(store, clock, hints, worker.id, list(settings.trunks), retention, forget_files)
    health = Health(store, clock, hints, calls.runners)
    keep = settings.retention.recordings_days
    keeper = Keeper(calls.recordings, clock, None if keep is None else timedelta(days=keep))
    server.append(Server(settings, store, worker, calls, services, health, sweeper, keeper))
    return server[0]


class _Http(uvicorn.Server):
    """uvicorn without signal handlers of its own: ours drain first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


Announce = Callable[[Server, str], Awaitable[None]]
"""Is told when the server listens: the server, and its address."""


async def serve(settings: Settings, announce: Announce) -> None:
    """Run the server until SIGTERM, SIGINT or SIGHUP, then drain; a second signal skips the wait."""
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
        await announce(server, _address(listener))
        await asyncio.wait([serving, asyncio.create_task(stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
        await server.drain(hurry)
        http.should_exit = True
        await serving


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
