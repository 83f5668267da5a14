"""The dispatcher of a lane: claims what the worker can start at once and gives each run to its runner."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from covey.domain.batch import StopReason
from covey.domain.clock import Clock
from covey.domain.errors import Conflict, NotFound, Unavailable
from covey.domain.run import (
    INTERNAL_ERROR,
    NOT_STARTED,
    START_LEASE_SECONDS,
    Claimed,
    ClaimedRuns,
    Finished,
    Outcome,
    Returned,
)
from covey.engine.clock_offset import WRONG_SECONDS, ClockOffset
from covey.engine.lane_backoff import Backoff
from covey.engine.runner import CannotGoOn, Run, Runner
from covey.engine.wakeups import Wakeups
from covey.loop import Loop
from covey.metrics import Metrics
from covey.store.results import Claim
from covey.store.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
"""How long a dispatcher waits at most before it looks by itself."""

CONFIGS_KEPT = 64
"""So many batches' configurations are kept parsed, by lane."""

RunKey = tuple[str, int, int]
"""Batch, seq, attempt."""

Which = Callable[[Run], bool]
"""Says of a run whether an order is about it."""


@dataclass(slots=True)
class UnansweredClaim:
    """A claim on its way: `answered` comes when its runs are in hand, `orders` were given meanwhile."""

    answered: asyncio.Future[None]
    orders: list[Which] = field(default_factory=list)


class Dispatcher(Loop):
    """Keeps up to `room` runs of one lane in the worker's hands."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        wakeups: Wakeups,
        worker: str,
        lane: str,
        runner: Runner,
        capacity: int,
        metrics: Metrics,
        on_finished: Callable[[Finished], None],
        on_evicted: Callable[[], None],
        on_answer_lost: Callable[[], None],
    ) -> None:
        """Callbacks: `on_finished` gets the outcome of each run, `on_evicted` is called once other workers have
        declared this one dead, `on_answer_lost` when a connection failed before its answer came."""
        self._store = store
        self._clock = clock
        self._worker = worker
        self.lane = lane
        self._runner = runner
        self._capacity = capacity
        self._metrics = metrics
        self._on_finished = on_finished
        self._on_evicted = on_evicted
        self._on_answer_lost = on_answer_lost
        self.name = f"dispatcher {lane}"
        self._wake = wakeups.lane(lane)
        self._again_at: datetime | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._configs: OrderedDict[str, Any] = OrderedDict()
        self.runs: dict[RunKey, Run] = {}
        """The runs in hand, until their outcome is on disk."""
        self.running: set[RunKey] = set()
        """Those of them that have not come to their outcome yet."""
        self._offset = ClockOffset()
        self._backoff = Backoff(store, clock, worker, lane, self._latest_start)
        self._last_start = float("-inf")
        self._unanswered: UnansweredClaim | None = None
        self.claiming = True

    async def stop(self) -> None:
        """Claim no more; the runs in hand go on."""
        self.claiming = False
        if self._task is not None:
            self.wake.set()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    @property
    def going(self) -> bool:
        """Whether it claims any more."""
        return self.claiming

    async def _failed(self, error: Exception) -> None:
        self._again_at = None
        if isinstance(error, Unavailable):
            self._on_answer_lost()
            log.warning("claims_wait_for_database", lane=self.lane, why=error.message)
        elif isinstance(error, Conflict):
            log.critical("worker_evicted", worker=self._worker)
            self.claiming = False
            self._on_evicted()
        else:
            log.exception("claim_failed", lane=self.lane, exc_info=error)

    async def _rest(self) -> None:
        """Wait until there may be something to claim, a wakeup, or the poll."""
        seconds = POLL_SECONDS
        if self._again_at is not None:
            seconds = min(seconds, self._offset.until(self._again_at, self._clock))
        if seconds > 0:
            await self._wait(seconds)
        else:
            self.wake.clear()

    async def round(self) -> datetime | None:
        """Claim a portion of one batch and start its runs; when to ask again (None: at a wakeup or the poll)."""
        self._again_at = again_at = await self._round()
        return again_at

    async def _round(self) -> datetime | None:
        await self._backoff.look()
        capacity = self._backoff.capacity(self._capacity - len(self.runs), self.runs.values())
        if capacity <= 0:
            return None
        if self._offset.wide:
            await self._measure()
        claim = await self._claim(capacity)
        again_at = claim.again_at
        if (
            claim.portion is None
            and again_at is not None
            and self._offset.until(again_at, self._clock) < -WRONG_SECONDS
        ):
            await self._measure()
        return again_at

    async def _claim(self, capacity: int) -> Claim:
        """Claim, and have the runs in hand when this returns."""
        asked = self._clock.monotonic()
        self._unanswered = unanswered = UnansweredClaim(asyncio.get_running_loop().create_future())
        try:
            claim = await self._store.claim(self._worker, self.lane, capacity)
            self._metrics.claim_seconds.observe(self._clock.monotonic() - asked)
            if claim.portion is not None:
                await self._start(claim.portion, asked, unanswered.orders)
            return claim
        finally:
            self._unanswered = None
            unanswered.answered.set_result(None)

    async def _measure(self) -> None:
        """Measure the store's clock by the quickest question there is: a claim may take longer than a start may be
        late."""
        asked = self._clock.monotonic()
        now = await self._store.time()
        self._offset.of(asked, self._clock.monotonic(), now)

    async def _start(self, portion: ClaimedRuns, sent_at: float, orders: Sequence[Which]) -> None:
        """Start the runs of a portion; those that `orders` are about are withdrawn before their first step."""
        config = self._config_of(portion)
        if isinstance(config, CannotGoOn):
            await self._give_up(portion.workspace, portion.batch, str(config))
        offset = self._offset.of(sent_at, self._clock.monotonic(), portion.now)
        for claimed in portion.runs:
            run = self._run(portion, claimed, config, offset, sent_at)
            if run.key in self.runs:
                log.critical("claimed_run_already_in_hand", batch=run.batch, seq=run.seq)
                continue
            self.runs[run.key] = run
            self.running.add(run.key)
            if any(which(run) for which in orders):
                run.withdraw()
            task = asyncio.create_task(self._execute(run, self._backoff.generation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _config_of(self, portion: ClaimedRuns) -> Any:
        """The batch's configuration as its runner has it, or why there is none. It never changes, so what was made once
        is kept."""
        if portion.batch in self._configs:
            self._configs.move_to_end(portion.batch)
            return self._configs[portion.batch]
        try:
            config = self._runner.load_config(portion.config)
        except CannotGoOn as error:
            return error
        except Exception:
            log.exception("config_not_loaded", batch=portion.batch)
            return CannotGoOn("The batch's stored configuration cannot be read")
        self._configs[portion.batch] = config
        if len(self._configs) > CONFIGS_KEPT:
            self._configs.popitem(last=False)
        return config

    @staticmethod
    def _run(portion: ClaimedRuns, claimed: Claimed, config: Any, offset: tuple[float, float], sent_at: float) -> Run:
        """A run that starts neither too early nor too late, wherever the truth lies between the two of `ahead`."""
        least, most = (claimed.start_at.timestamp() + one for one in offset)
        until = sent_at + START_LEASE_SECONDS
        return Run(
            batch=portion.batch,
            workspace=portion.workspace,
            lane=portion.lane,
            seq=claimed.seq,
            attempt=claimed.attempt,
            tries=claimed.tries,
            custom_id=claimed.custom_id,
            ref=claimed.ref,
            config=config,
            input=claimed.input,
            start_at=most,
            lease_until=until if portion.slack is None else min(until, least + portion.slack.total_seconds()),
        )

    async def _execute(self, run: Run, generation: int) -> None:
        outcome = await self._outcome(run)
        if run.started is not None or not run.is_withdrawn:  # what was taken back could have started
            await self._backoff.came_back(outcome, generation)
        ended = self._clock.now()
        started = None
        if run.started is not None:
            self._last_start = max(self._last_start, run.started)
            self._metrics.claim_lag.observe(max(0.0, run.started - run.start_at))
            started = datetime.fromtimestamp(ended.timestamp() - (self._clock.monotonic() - run.started), ended.tzinfo)
        self.running.discard(run.key)
        self._on_finished(Finished(*run.key, outcome, started, ended))

    async def _outcome(self, run: Run) -> Outcome:
        if run.is_withdrawn:
            return run.unstarted()
        if self._clock.monotonic() > run.lease_until:
            return Returned(NOT_STARTED, "its start came too late")
        if isinstance(run.config, CannotGoOn):
            return Returned(NOT_STARTED, str(run.config))
        try:
            return await self._runner.run(run)
        except CannotGoOn as error:
            await self._give_up(run.workspace, run.batch, str(error))
            return Returned(NOT_STARTED, str(error))
        except (Exception, asyncio.CancelledError):
            if _is_cancelled():
                raise
            log.exception("runner_failed", batch=run.batch, item=run.item, attempt=run.attempt)
            return INTERNAL_ERROR

    async def _give_up(self, workspace: str, batch: str, why: str) -> None:
        """Stop a batch that no wait will help (contract 12.18). Its run is given back afterwards, and so canceled."""
        log.error("batch_cannot_go_on", batch=batch, why=why)
        try:
            await self._store.stop(workspace, batch, StopReason.fail, message=why)
        except (Unavailable, NotFound) as error:  # if it is still there, it is stopped when it is claimed again
            log.warning("batch_not_stopped", batch=batch, why=error.message)
        except Exception:
            log.exception("batch_not_stopped", batch=batch)

    def _latest_start(self) -> float:
        """When a run of this lane was last started here, in seconds of the monotonic clock."""
        return max([self._last_start, *(run.started for run in self.runs.values() if run.started is not None)])

    def rest(self, seconds: float) -> None:
        """Claim nothing for so long (0: go on)."""
        self._backoff.rest(seconds)

    def withdraw(self, which: Which) -> None:
        """Take back the runs that an order is about and that have not started, also those that a claim on its way has
        been given already: the order was written after it."""
        for run in self.runs.values():
            if run.started is None and which(run):
                run.withdraw()
        if self._unanswered is not None:
            self._unanswered.orders.append(which)

    async def wait_for_withdrawals(self, which: Which) -> None:
        """Wait until it is known of each run that was withdrawn whether it started."""
        await self.wait_for_claim()
        fates = [run.withdraw() for run in self.runs.values() if run.is_withdrawn and which(run)]
        if fates:
            await asyncio.wait(fates)

    async def wait_for_claim(self) -> None:
        """Wait for the claim on its way, if there is one, until its runs are in hand."""
        if self._unanswered is not None:
            await asyncio.wait([self._unanswered.answered])

    def forget(self, key: RunKey) -> None:
        """The run's outcome is on disk: its room is free. Runs of other lanes are none of ours."""
        run = self.runs.pop(key, None)
        if run is not None:
            run.recorded()
            self.wake.set()

    async def idle(self, timeout: float) -> bool:
        """Wait until no run is in hand, `timeout` seconds at most; whether that came."""
        time = asyncio.get_running_loop().time
        until = time() + timeout
        while self.runs and (left := until - time()) > 0:
            await self._wait(min(left, POLL_SECONDS))
        return not self.runs


def _is_cancelled() -> bool:
    """Whether this very task is told to end: a runner may also let out the cancellation of something of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
