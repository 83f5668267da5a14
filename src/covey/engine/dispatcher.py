"""The dispatcher of a lane: claims what the worker can start at once and gives each run to its runner."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson
import structlog

from covey.domain.batch import StopReason
from covey.domain.clock import Clock
from covey.domain.errors import Conflict, NotFound, Unavailable
from covey.domain.run import INTERNAL_ERROR, LICENCE_SECONDS, NOT_STARTED, Bite, Claimed, Finished, Outcome, Returned
from covey.engine.hints import Hints
from covey.engine.runner import CannotGoOn, Run, Runner
from covey.metrics import Metrics
from covey.store.ports import Claims, Control, Lanes

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
"""How long a dispatcher waits at most before it looks by itself."""

UNSTARTED_LAPS = 20
"""So many times in a row runs came back unstarted, were claimed again and came back: that holds the lane …"""

UNSTARTED_HOLD = timedelta(seconds=2)
"""… for so long."""

UNSURE_SECONDS = 0.02
"""How long a dispatcher waits at least for a time of the store's clock that it has no measure of yet."""

RunKey = tuple[str, int, int]
"""Batch, seq, attempt."""


class DispatcherStore(Claims, Control, Lanes, Protocol):
    """What a dispatcher needs of a database."""


class Ahead:
    """How far the monotonic clock of this machine is ahead of the store's clock: seconds to add to a store's time.

    Each answer says that the store's time was later than the question and earlier than the answer. The quickest ones of
    the last claims leave the smallest room between the two.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=64)

    def of(self, asked: float, received: float, store_now: datetime) -> tuple[float, float]:
        """(least, most) that it can be, after an answer made at `store_now` to what was asked at `asked`."""
        now = store_now.timestamp()
        self._seen.append((asked - now, received - now))
        if self._least > self._most:  # a clock was set
            self._seen = deque([(asked - now, received - now)], maxlen=64)
        return self._least, self._most

    @property
    def _least(self) -> float:
        return max(least for least, _ in self._seen)

    @property
    def _most(self) -> float:
        return min(most for _, most in self._seen)

    def until(self, at: datetime, clock: Clock) -> float:
        """The seconds until a time of the store's clock. This machine's own clock only serves until the first answer:
        it may be set wrong."""
        if not self._seen:
            return max(UNSURE_SECONDS, (at - clock.now()).total_seconds())
        return at.timestamp() + self._most - clock.monotonic()


class Dispatcher:
    """Keeps up to `room` runs of one lane in the worker's hands."""

    def __init__(
        self,
        store: DispatcherStore,
        clock: Clock,
        hints: Hints,
        worker: str,
        lane: str,
        runner: Runner,
        room: int,
        metrics: Metrics,
        put: Callable[[Finished], None],
        given_up: Callable[[], None],
        doubt: Callable[[], None],
    ) -> None:
        """`put` is given what came of each run; `given_up` is called when the others gave this worker up, `doubt` when
        an answer of the database was lost."""
        self._store = store
        self._clock = clock
        self._worker = worker
        self.lane = lane
        self._runner = runner
        self._room = room
        self._metrics = metrics
        self._put = put
        self._given_up = given_up
        self._doubt = doubt
        self._hint = hints.lane(lane)
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._config: tuple[str, Mapping[str, Any]] = ("", {})
        self.runs: dict[RunKey, Run] = {}
        """The runs in hand, until their outcome is on disk."""
        self.running: set[RunKey] = set()
        """Those of them that have not come to their outcome yet."""
        self._ahead = Ahead()
        self._lap = 0
        """Counts the times that runs came back unstarted: those that were claimed together come back as one."""
        self._unstarted = 0
        self._unstarted_at = float("-inf")
        self._held: tuple[float, str] | None = None
        """Since when (monotonic) this dispatcher holds its lane, and why."""
        self._last_start = float("-inf")
        self.claiming = True

    def start(self) -> None:
        """Start the loop."""
        self._task = asyncio.create_task(self._loop(), name=f"dispatcher {self.lane}")

    async def stop(self) -> None:
        """Claim no more; the runs in hand go on."""
        self.claiming = False
        if self._task is not None:
            self._hint.set()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _loop(self) -> None:
        while self.claiming:
            try:
                again_at = await self.round()
            except Unavailable as error:
                self._doubt()
                log.warning("claims wait for the database", lane=self.lane, why=error.message)
                again_at = None
            except Conflict:
                log.critical("this worker was given up; it claims no more", worker=self._worker)
                self.claiming = False
                self._given_up()
                return
            except Exception:
                log.exception("a claim failed", lane=self.lane)
                again_at = None
            await self._wait(again_at)

    async def _wait(self, again_at: datetime | None) -> None:
        """Wait until `again_at`, a hint, or the poll."""
        seconds = POLL_SECONDS
        if again_at is not None:
            seconds = min(seconds, self._ahead.until(again_at, self._clock))
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._hint.wait()
            except TimeoutError:
                pass
        self._hint.clear()

    async def round(self) -> datetime | None:
        """Claim one bite and start its runs; when to ask again (None: not before a hint or the poll)."""
        await self._let_go()
        room = self._room - len(self.runs)
        if room <= 0:
            return None
        asked = self._clock.monotonic()
        claim = await self._store.claim(self._worker, self.lane, room)
        self._metrics.claim_seconds.observe(self._clock.monotonic() - asked)
        if claim.bite is not None:
            await self._start(claim.bite, asked)
        return claim.again_at

    async def _start(self, bite: Bite, asked: float) -> None:
        try:
            config = self._frozen(bite)
        except ValueError:
            await self._give_up(bite.batch, "The batch's stored configuration cannot be read")
            config = {}
        ahead = self._ahead.of(asked, self._clock.monotonic(), bite.now)
        for claimed in bite.runs:
            run = self._run(bite, claimed, config, ahead, asked)
            if (run.batch, run.seq, run.attempt) in self.runs:
                log.critical("the database handed out what is in hand already", batch=run.batch, seq=run.seq)
                continue
            self.runs[run.batch, run.seq, run.attempt] = run
            self.running.add((run.batch, run.seq, run.attempt))
            task = asyncio.create_task(self._execute(run, self._lap))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _frozen(self, bite: Bite) -> Mapping[str, Any]:
        """The batch's configuration, parsed once for all bites of one batch in a row."""
        if self._config[0] != bite.batch:
            self._config = (bite.batch, orjson.loads(bite.config))
        return self._config[1]

    @staticmethod
    def _run(bite: Bite, claimed: Claimed, config: Mapping[str, Any], ahead: tuple[float, float], asked: float) -> Run:
        """A run that starts neither too early nor too late, wherever the truth lies between the two of `ahead`."""
        least, most = (claimed.start_at.timestamp() + one for one in ahead)
        until = asked + LICENCE_SECONDS
        return Run(
            batch=bite.batch,
            workspace=bite.workspace,
            lane=bite.lane,
            seq=claimed.seq,
            attempt=claimed.attempt,
            tries=claimed.tries,
            custom_id=claimed.custom_id,
            ref=claimed.ref,
            config=config,
            input=claimed.input,
            start_at=most,
            licence_until=until if bite.slack is None else min(until, least + bite.slack.total_seconds()),
        )

    async def _execute(self, run: Run, lap: int) -> None:
        outcome = await self._outcome(run)
        await self._watch_starts(outcome, lap)
        ended = self._clock.now()
        started = None
        if run.started is not None:
            self._last_start = max(self._last_start, run.started)
            self._metrics.claim_lag.observe(max(0.0, run.started - run.start_at))
            started = datetime.fromtimestamp(ended.timestamp() - (self._clock.monotonic() - run.started), ended.tzinfo)
        self.running.discard((run.batch, run.seq, run.attempt))
        self._put(Finished(run.batch, run.seq, run.attempt, outcome, started, ended))

    async def _outcome(self, run: Run) -> Outcome:
        if self._clock.monotonic() > run.licence_until:
            return Returned(NOT_STARTED, "its start came too late")
        try:
            return await self._runner.run(run)
        except CannotGoOn as error:
            await self._give_up(run.batch, str(error))
            return Returned(NOT_STARTED, str(error))
        except (Exception, asyncio.CancelledError):
            if _is_cancelled():
                raise
            log.exception("a runner failed", batch=run.batch, item=run.item, attempt=run.attempt)
            return INTERNAL_ERROR

    async def _give_up(self, batch: str, why: str) -> None:
        """Stop a batch that no wait will help (contract 12.18). Its run is given back afterwards, and so canceled."""
        log.error("a batch cannot go on", batch=batch, why=why)
        try:
            await self._store.stop(batch, StopReason.fail, message=why)
        except (Unavailable, NotFound) as error:  # if it is still there, it is stopped when it is claimed again
            log.warning("it could not be stopped", batch=batch, why=error.message)
        except Exception:
            log.exception("it could not be stopped", batch=batch)

    async def _watch_starts(self, outcome: Outcome, lap: int) -> None:
        """Hold the lane for a moment when time after time nothing could be started: otherwise its runs would go round
        and round with nobody told."""
        if not isinstance(outcome, Returned) or outcome.code != NOT_STARTED:
            self._unstarted = 0
            return
        if lap < self._lap:
            return
        self._lap += 1
        self._unstarted = 1 if self._started_since(self._unstarted_at) else self._unstarted + 1
        self._unstarted_at = self._clock.monotonic()
        if self._unstarted >= UNSTARTED_LAPS:
            self._unstarted = 0
            why = outcome.message or "nothing can be started"
            log.error("time after time nothing could be started", lane=self.lane, why=why)
            self._held = self._clock.monotonic(), why
            try:
                await self._store.open_lane(self.lane, self._clock.now() + UNSTARTED_HOLD, why)
            except Exception:
                log.exception("the lane could not be held", lane=self.lane)

    async def _let_go(self) -> None:
        """Open the lane that was held here to all runs as soon as one has started: its end may be far away."""
        if self._held is None:
            return
        since, why = self._held
        if not self._started_since(since):
            return
        status = await self._store.lane(self.lane)
        if status is not None and status.open_reason == why:
            await self._store.close_lane(self.lane)
        self._held = None

    def _started_since(self, at: float) -> bool:
        """Whether a run has started after that moment of the monotonic clock."""
        starts = [run.started for run in self.runs.values() if run.started is not None]
        return max([self._last_start, *starts]) > at

    def forget(self, key: RunKey) -> None:
        """The run's outcome is on disk: its room is free. Runs of other lanes are none of ours."""
        if self.runs.pop(key, None) is not None:
            self._hint.set()

    async def idle(self, timeout: float) -> bool:
        """Wait until no run is in hand, `timeout` seconds at most; whether that came."""
        time = asyncio.get_running_loop().time
        until = time() + timeout
        while self.runs and (left := until - time()) > 0:
            try:
                async with asyncio.timeout(min(left, POLL_SECONDS)):
                    await self._hint.wait()
            except TimeoutError:
                pass
            self._hint.clear()
        return not self.runs


def _is_cancelled() -> bool:
    """Whether this very task is told to end: a runner may also let out the cancellation of something of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
