"""A worker: one life of a process that claims runs. It owns the loops that start, end and drop them."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

import structlog

from covey.domain.clock import Clock
from covey.domain.errors import Unavailable
from covey.domain.run import Finished, Progress
from covey.engine.completer import Completer
from covey.engine.dispatcher import Dispatcher, RunKey
from covey.engine.lane_backoff import alone
from covey.engine.reconciler import Reconciler
from covey.engine.runner import Run, Runner
from covey.engine.wakeups import Wakeups
from covey.engine.withdrawals import Withdrawals, of_batch, of_refs
from covey.loop import Loop, Rounds
from covey.metrics import Metrics
from covey.store.results import FinishReport
from covey.store.store import Store

log = structlog.get_logger(__name__)

NO_HOLD: Mapping[str, timedelta] = MappingProxyType({})
"""Slots of settled runs are free at once."""

DROP_POLL_SECONDS = 1.0
RECONCILE_SECONDS = 10.0
PROGRESS_SECONDS = 2.0
"""How old what readers see of a run's progress may be."""

DROP_PATIENCE_SECONDS = 10.0
"""How long a drain waits for runs that were told to drop."""


def new_worker_id(clock: Clock) -> str:
    """The id of a new life, which is never used again."""
    return f"{int(clock.now().timestamp()):x}-{secrets.token_hex(6)}"


class Worker:
    """Claims runs of its lanes and sees each to its end."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        wakeups: Wakeups,
        runners: Mapping[str, Runner],
        capacity: int,
        metrics: Metrics,
        id: str | None = None,
    ) -> None:
        """`runners` are the runners by lane; `room` is the most runs of one lane in this worker's hands; `id` is made
        by `new_worker_id`."""
        self.id = id or new_worker_id(clock)
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics
        self.completer = Completer(store, self.id, self._recorded, self._answer_lost)
        self.evicted = asyncio.Event()
        """Set when the others gave this worker up: it claims no more, and never will."""
        self.dispatchers = {
            lane: Dispatcher(
                store,
                clock,
                wakeups,
                self.id,
                lane,
                runner,
                capacity,
                metrics,
                self.completer.on_finished,
                self.evicted.set,
                self._answer_lost,
            )
            for lane, runner in runners.items()
        }
        self.withdrawals = Withdrawals(self.dispatchers)
        wakeups.withdraw = lambda batch: self.withdrawals.begin(of_batch(batch))
        self._loops: list[Loop] = []
        self._reported: dict[RunKey, tuple[float, float]] = {}
        self.reconciler = Reconciler(store, clock, self.id, self.dispatchers, self.completer.on_finished)

    @property
    def active(self) -> int:
        """How many runs are in hand."""
        return sum(len(dispatcher.runs) for dispatcher in self.dispatchers.values())

    async def enlist(self, hold: Mapping[str, timedelta] = NO_HOLD) -> None:
        """Begin this life, and settle what dead ones left; `hold` as for `Liveness.settle`."""
        await self._store.enlist(self.id)
        await self.settle_dead(hold)

    async def alone(self) -> bool:
        """Whether nobody else is at work on this database."""
        return await alone(self._store, self.id)

    def rest(self, lane: str, seconds: float) -> None:
        """Claim nothing of a lane for so long (0: go on)."""
        self.dispatchers[lane].rest(seconds)

    def start(self) -> None:
        """Start to claim."""
        self.completer.start()
        for dispatcher in self.dispatchers.values():
            dispatcher.start()
        self._loops = [
            Rounds("dropper", DROP_POLL_SECONDS, self.drop_round, self._wakeups.drops),
            Rounds("progress", PROGRESS_SECONDS, self.progress_round),
            Rounds("reconciler", RECONCILE_SECONDS, self.reconciler.round, self.reconciler.wake),
        ]
        for loop in self._loops:
            loop.start()

    async def drain(self, seconds: float, hurry: asyncio.Event) -> None:
        """Claim no more; wait `seconds` for the runs in hand, or until `hurry`, then drop the rest and await them."""
        dispatchers = self.dispatchers.values()
        await asyncio.gather(*(dispatcher.stop() for dispatcher in dispatchers))
        waits = [asyncio.create_task(dispatcher.idle(seconds)) for dispatcher in dispatchers]
        hurried = asyncio.create_task(hurry.wait())
        idle = asyncio.create_task(_all(waits))
        await asyncio.wait([idle, hurried], return_when=asyncio.FIRST_COMPLETED)
        for task in (*waits, idle, hurried):
            task.cancel()
        if self.active:
            log.warning("drain_timeout", runs=self.active)
        for dispatcher in dispatchers:
            for run in dispatcher.runs.values():
                run.drop("interrupted")
        await asyncio.gather(*(dispatcher.idle(DROP_PATIENCE_SECONDS) for dispatcher in dispatchers))

    async def stop(self) -> None:
        """End this life. What is still in hand is settled by the successor."""
        for loop in self._loops:
            await loop.stop()
        await self.reconciler.last_round()
        await self.completer.stop()
        if not self.active:
            try:
                await self._store.retire(self.id)
            except Unavailable as error:
                log.warning("worker_not_deregistered", why=error.message)

    async def settle_dead(self, hold: Mapping[str, timedelta] = NO_HOLD) -> int:
        """Settle the runs of workers that are dead; how many were settled. One that cannot be settled stands in no
        other's way."""
        settled = 0
        for worker in await self._store.dead_workers(self.id):
            try:
                settled += await self._settle(worker, hold)
            except Unavailable:
                raise
            except Exception:
                log.exception("dead_worker_not_settled", dead=worker)
        if settled:
            log.warning("dead_workers_settled", runs=settled)
        return settled

    async def _settle(self, worker: str, hold: Mapping[str, timedelta]) -> int:
        found = left = len(await self._store.in_hand(worker))
        while left:
            left = await self._store.settle(worker, hold)
        return found

    async def drop_round(self) -> None:
        """Tell the runs that are to be dropped, and take back what was about to touch something that is blocked now."""
        await self._drop()
        await self.withdrawals.wait_for_claims()
        await self._withdraw_blocked()

    async def _drop(self) -> None:
        if not self.active:
            return
        for order in await self._store.to_drop(self.id):
            run = self._run(order.batch, order.seq, order.attempt)
            if run is not None:
                run.drop(order.reason)

    async def _withdraw_blocked(self) -> None:
        refs: dict[str, set[str]] = defaultdict(set)
        for dispatcher in self.dispatchers.values():
            for run in dispatcher.runs.values():
                if run.started is None and run.ref is not None and not run.is_withdrawn:
                    refs[run.workspace].add(run.ref)
        for workspace, those in refs.items():
            blocked = await self._store.blocked_among(workspace, sorted(those))
            self.withdrawals.begin(of_refs(workspace, blocked))

    async def progress_round(self) -> None:
        """Write down how far the runs are that have moved since the last round."""
        there = {key: run.progress for one in self.dispatchers.values() for key, run in one.runs.items()}
        said = {key: progress for key, progress in there.items() if progress is not None}
        moved = [Progress(*key, *progress) for key, progress in said.items() if self._reported.get(key) != progress]
        if moved:
            await self._store.advance(self.id, moved)
        self._reported = said

    def _run(self, batch: str, seq: int, attempt: int) -> Run | None:
        for dispatcher in self.dispatchers.values():
            run = dispatcher.runs.get((batch, seq, attempt))
            if run is not None:
                return run
        return None

    def _answer_lost(self) -> None:
        """An answer of the database was lost."""
        self.reconciler.wake.set()

    def _recorded(self, group: list[Finished], report: FinishReport) -> None:
        now = self._clock.now()
        for one in group:
            self._metrics.finish_lag.observe(max(0.0, (now - one.ended_at).total_seconds()))
            self._metrics.runs_ended.labels(type(one.outcome).__name__.lower()).inc()
            for dispatcher in self.dispatchers.values():
                dispatcher.forget((one.batch, one.seq, one.attempt))
        self.reconciler.recorded(group, report)
        self._wakeups.event()
        for batch in report.paused:
            log.warning("batch_paused_itself", batch=batch)


async def _all(tasks: list[asyncio.Task[bool]]) -> None:
    await asyncio.wait(tasks)
