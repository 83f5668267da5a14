"""Every part of a server, made from the settings, started and ended in the right order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from covey.analysis.assets import AssetRecovery
from covey.analysis.config import lane_of
from covey.analysis.wiring import AnalysisParts, analysis_parts
from covey.api.kit.services import Services, voice_check
from covey.api.webhooks.bodies import rendering
from covey.api.webhooks.secrets import SecretBox
from covey.api.webhooks.sender import WebhookSender
from covey.calls.paths import open_calls_folder, skipped_path
from covey.calls.recordings import RecordingRetention
from covey.calls.trunks.dialler.open_calls import clear, left_open
from covey.calls.wiring import CallParts, call_parts
from covey.domain.clock import Clock, SystemClock
from covey.domain.errors import NotFound
from covey.domain.lane import Lane
from covey.engine.deliveries import Deliveries
from covey.engine.health import LaneHealth
from covey.engine.orders import Orders
from covey.engine.rescuer import Rescuer
from covey.engine.runner import Runner
from covey.engine.submission import Submission
from covey.engine.sweeper import Sweeper
from covey.engine.wakeups import Wakeups
from covey.engine.worker import Worker, new_worker_id
from covey.fetch import Fetcher
from covey.metrics import Metrics
from covey.server.database import Opened, opened
from covey.server.runners import ExtraRunner, extra_runners
from covey.server.runners import lane_of as extra_lane
from covey.server.vitals import LoopLag, ServiceManager
from covey.settings import Settings
from covey.store.store import Store

log = structlog.get_logger(__name__)

HANGING_UP = timedelta(seconds=30)
"""How long a phone may stay in a call whose caller is gone, until it hears nothing for long enough."""

LAG_SECONDS, LAGGED_SECONDS = 1.0, 5.0
"""A process whose event loop was later than this takes no work for so long: its starts would be late, too."""

LEASE_MARGIN = timedelta(seconds=10)
"""So much longer than its time limit a claimed delivery stays with this process."""


class Background(Protocol):
    """What runs beside the worker."""

    def start(self) -> None:
        """Begin."""
        ...

    async def stop(self) -> None:
        """End."""
        ...


@dataclass(slots=True)
class Server:
    """The parts of a running server."""

    settings: Settings
    store: Store
    worker: Worker
    calls: CallParts
    analysis: AnalysisParts
    extra: Mapping[str, ExtraRunner]
    services: Services
    lag: LoopLag
    manager: ServiceManager
    loops: list[Background]
    """What runs beside the worker, in the order in which it starts."""
    draining: bool = False

    @property
    def drain_seconds(self) -> float:
        """How long a drain waits for active runs: as set, else the longest call of any trunk."""
        if self.settings.drain_seconds is not None:
            return self.settings.drain_seconds
        return max(_longest(self.settings).values()).total_seconds()

    def unready(self) -> str | None:
        """Why this process takes no work; None if it does."""
        if self.draining:
            return "the server is draining"
        if (lag := self.lag.worst(LAGGED_SECONDS)) > LAG_SECONDS:
            return f"the event loop stood still for {lag:.1f} s a moment ago"
        return None

    async def drain(self, hurry: asyncio.Event) -> None:
        """Claim no more, see the active runs end; see `Worker.drain`."""
        self.draining = True
        self.manager.announce_stop()
        log.info("draining", runs=self.worker.active, seconds=self.drain_seconds)
        await self.worker.drain(self.drain_seconds, hurry)


@contextlib.asynccontextmanager
async def running(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Server]:
    """A server's parts, started; on leaving they end, whatever is active is dropped.

    Raises StoreError if the data folder cannot be used, SettingsError for a trunk that cannot be driven.
    """
    wakeups = Wakeups()
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened(settings, clock, wakeups.heard))
        clock = clock or SystemClock()
        server = await _assemble(settings, clock, wakeups, database)
        stack.push_async_callback(server.calls.close)
        stack.push_async_callback(server.analysis.close)
        for runner in server.extra.values():
            stack.push_async_callback(runner.close)
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
    log.warning("earlier_calls_may_be_up")
    return dict.fromkeys(settings.trunks, left)


async def _end_loops(server: Server) -> None:
    if server.worker.active or not server.draining:
        hurry = asyncio.Event()
        hurry.set()
        await server.drain(hurry)
    for loop in reversed(server.loops):
        await loop.stop()
    await server.worker.stop()


async def _assemble(settings: Settings, clock: Clock, wakeups: Wakeups, database: Opened) -> Server:
    store, metrics, ident = database.store, Metrics(), new_worker_id(clock)
    fetcher, sealer = Fetcher(settings.fetch), SecretBox(settings)
    calls = call_parts(settings, clock, metrics, keep_open=database.keep_open)
    analysis = analysis_parts(settings, clock, store, fetcher, ident, database.keep_open)
    lanes = _lanes(settings, analysis)
    for lane in lanes:
        await store.put_lane(lane)
    extra = extra_runners(settings)
    runners: dict[str, Runner] = {**calls.runners, **analysis.runners, **extra}
    worker = Worker(store, clock, wakeups, runners, max(lane.cap for lane in lanes), metrics, ident)
    server: list[Server] = []
    services = Services(
        store=store,
        submission=Submission(store, wakeups, worker.id),
        wakeups=wakeups,
        orders=Orders(store, wakeups, worker.withdrawals),
        clock=clock,
        settings=settings,
        metrics=metrics,
        worker=worker.id,
        recordings=calls.recordings,
        forget_clips=calls.clips.forget,
        check_voice=voice_check(calls.synthesizer),
        ready=lambda: server[0].unready() if server else None,
        write_queue=lambda: store.waiting,
        fetcher=fetcher,
        sealer=sealer,
        intake=analysis.intake,
    )
    loops = _loops(settings, clock, wakeups, database, worker, services, calls, runners, analysis)
    manager = ServiceManager(clock)
    lag = LoopLag(clock, metrics, manager.alive)
    server.append(Server(settings, store, worker, calls, analysis, extra, services, lag, manager, [lag, *loops]))
    return server[0]


def _lanes(settings: Settings, analysis: AnalysisParts) -> list[Lane]:
    trunks = [Lane(name, trunk.channels, trunk.calls_per_second) for name, trunk in settings.trunks.items()]
    models = [
        Lane(lane_of(name), model.concurrency, model.starts_per_second) for name, model in analysis.models.items()
    ]
    extra = [
        Lane(extra_lane(name), each.concurrency, each.starts_per_second) for name, each in settings.runners.items()
    ]
    return trunks + models + extra


def _loops(
    settings: Settings,
    clock: Clock,
    wakeups: Wakeups,
    database: Opened,
    worker: Worker,
    services: Services,
    calls: CallParts,
    runners: Mapping[str, Runner],
    analysis: AnalysisParts,
) -> list[Background]:
    store = database.store

    async def forget_files(batch: str) -> None:
        await calls.recordings.forget(batch)
        await asyncio.to_thread(skipped_path(settings.data, batch).unlink, missing_ok=True)

    async def there(batch: str) -> bool:
        try:
            await store.batch(batch, bare=True)
        except NotFound:
            return False
        return True

    lanes = None if database.shared else list(runners)
    kept = settings.retention
    sender = WebhookSender(store, services.fetcher, services.sealer, rendering(store), settings.webhooks)
    lease = timedelta(seconds=settings.webhooks.timeout_seconds) + LEASE_MARGIN
    deliveries = Deliveries(store, clock, sender, lease)
    wakeups.event = deliveries.wakeup
    loops: list[Background] = [
        LaneHealth(store, clock, wakeups, runners, worker),
        Sweeper(store, clock, wakeups, worker.id, lanes, forget_files, timedelta(days=kept.events_days)),
        RecordingRetention(
            calls.recordings, clock, timedelta(days=kept.recordings_days) if kept.recordings_days else None, there
        ),
        AssetRecovery(analysis.intake),
        deliveries,
    ]
    if database.shared:
        loops.append(Rescuer(worker, _longest(settings)))
    return loops
