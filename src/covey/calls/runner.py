"""The runner for calls: fills in the agent's texts, makes them sound, has a trunk place the call, reads its report."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from covey.calls.agents import Agent, render
from covey.calls.call import CallEnd, CallOrder, CallReport, Script, StartLease, Trunk, Turn
from covey.calls.config import KIND, CallsConfig, Row
from covey.calls.outcome import outcome_of
from covey.calls.recordings import Recordings
from covey.calls.speech import SpeechError
from covey.calls.speech.cache import ClipCache
from covey.domain.clock import Clock
from covey.engine.runner import Blame, CannotGoOn, Failed, Outcome, Returned, Run
from covey.metrics import Metrics

if TYPE_CHECKING:
    from covey.calls.intake.numbers import LastLook

log = structlog.get_logger(__name__)


READY_SECONDS = 20.0
"""How long a call waits at most for a trunk that starts."""

START_PAUSE = 3.0
"""How long after a failed start the trunk is started again."""

REPORT_SECONDS = 15.0
"""How long after its last possible moment a call's report is waited for."""

HANG_UP_SECONDS = 45.0
"""How long the report may take after a hang-up: an INVITE of which nothing is heard cannot be cancelled, and the stack
gives it up after 32 s (RFC 3261 timer B). A frozen dialler is noticed and its calls are ended within that, too."""


@dataclass(frozen=True, slots=True)
class DialDefaults:
    """How a trunk calls where the agent says nothing else: seconds it rings, the longest call (which no agent
    passes), and the number it shows; and whatever is said, the least seconds between two attempts at one number."""

    ring_seconds: float
    longest_seconds: float
    caller: str | None
    least_gap: float


class CallRunner:
    """Runs the calls of one trunk."""

    kind = KIND

    def __init__(
        self,
        trunk: Trunk,
        manners: DialDefaults,
        clock: Clock,
        metrics: Metrics,
        *,
        clips: ClipCache | None,
        recordings: Recordings | None,
        low_disk: int,
    ) -> None:
        """`clips` None: the trunk carries no sound. `recordings` None: nothing is recorded; with less than `low_disk`
        bytes free nothing is either."""
        self.trunk = trunk
        self._manners = manners
        self._clock = clock
        self._metrics = metrics
        self._clips = clips
        self._recordings = recordings
        self._low_disk = low_disk
        self._starting: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        """Set when the trunk has started, or could not."""
        self._cannot_start = ""
        self._look: LastLook | None = None
        """Loaded with the trunk: the numbering plans take memory, and longer than a start lease may."""

    async def ping(self, lane: str) -> str | None:
        """Whether the trunk's far side answers; a trunk that has not started yet is not asked. That it cannot start
        here says nothing about other machines: their runs start, and those of this one come back."""
        return await self.trunk.ping() if self._starting is not None and self._starting.done() else None

    async def close(self) -> None:
        """End every call of the trunk, and all that it started."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
            await self.trunk.stop()

    async def _started(self, run: Run) -> bool:
        """Start the trunk with its first call; whether it is ready. Starting takes longer than a start lease may, so
        calls wait for it here: they would only go round meanwhile."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start(), name=f"trunk {self.trunk.name}")
        if not self._tried.is_set():
            waits = [asyncio.create_task(event.wait()) for event in (self._tried, run.withdrawn)]
            try:
                await asyncio.wait(waits, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        return self._starting.done()

    async def _start(self) -> None:
        """Start the trunk, again and again until it works, and meanwhile the voice."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._warm_voice())
            tasks.create_task(self._load_numbers())
            while True:
                try:
                    await self.trunk.start()
                    break
                except Exception as error:
                    self._cannot_start = f"it cannot be started ({str(error) or type(error).__name__})"
                    self._tried.set()
                    log.exception("trunk_not_started", trunk=self.trunk.name, next_in=START_PAUSE)
                await asyncio.sleep(START_PAUSE)
            self._cannot_start = ""
        self._tried.set()

    async def _load_numbers(self) -> None:
        self._look = await asyncio.to_thread(_last_look)

    async def _warm_voice(self) -> None:
        try:
            if self._clips is not None:
                await self._clips.warm()
        except Exception:
            log.exception("voice_not_ready", trunk=self.trunk.name)

    async def run(self, run: Run) -> Outcome:
        """Place one call and see it to its end."""
        config, agent = run.config
        if run.ref is None:
            return Failed("invalid_number", "The row has no number")
        if not await self._started(run) or self._clock.monotonic() > run.lease_until:
            return run.unstarted(self._cannot_start or "the trunk was not ready in time")
        assert self._look is not None, "it is loaded when the trunk has started"
        refused = self._look.refusal(run.ref, live=config.live)
        if refused is not None:
            return Failed(refused.code, refused.message)
        script = render(agent, Row.load(run.input).values)
        try:
            clips = await self._clips_of(run, script, agent.voice)
        except SpeechError as error:
            return Returned("speech_failed", str(error), Blame.either)
        if run.is_withdrawn or clips is None:
            return run.unstarted()
        order = self._order(run, config, agent, script, clips)
        report = await self._place(order, run)
        return self._outcome(report, run, config)

    async def _clips_of(self, run: Run, script: Script, voice: str) -> dict[str, str] | None:
        """The sound of a call; None if the run is withdrawn before it is there. Raises SpeechError."""
        if self._clips is None:
            return {}
        making = asyncio.create_task(self._clips.clips(run.workspace, script, voice))
        withdrawing = asyncio.create_task(run.withdrawn.wait())
        try:
            await asyncio.wait([making, withdrawing], return_when=asyncio.FIRST_COMPLETED)
            return making.result() if making.done() else None
        finally:
            making.cancel()
            withdrawing.cancel()

    def load_config(self, config: bytes) -> tuple[CallsConfig, Agent]:
        """The batch's frozen configuration, and its agent."""
        try:
            loaded = CallsConfig.load(config)
            return loaded, Agent.model_validate({**loaded.agent, "recording": loaded.recording})
        except ValueError as error:
            raise CannotGoOn("The agent that this batch froze cannot be read by this version") from error

    def _order(self, run: Run, config: CallsConfig, agent: Agent, script: Script, clips: dict[str, str]) -> CallOrder:
        return CallOrder(
            batch=run.batch,
            item=run.item,
            attempt=run.attempt,
            number=run.ref or "",
            script=script,
            clips=clips,
            lease=StartLease(run.start_at, run.lease_until),
            ring_seconds=agent.ring_seconds or self._manners.ring_seconds,
            longest_seconds=min(agent.longest_seconds or self._manners.longest_seconds, self._manners.longest_seconds),
            caller=agent.caller or self._manners.caller,
            recording=self._recording_path(run, config),
        )

    def _recording_path(self, run: Run, config: CallsConfig) -> str | None:
        if not config.recording or self._recordings is None:
            return None
        if shutil.disk_usage(self._recordings.spool).free < self._low_disk:
            log.warning("recording_off_low_disk", batch=run.batch)
            return None
        return str(self._recordings.path(run.batch, f"{run.item}-{run.attempt}"))

    async def _place(self, order: CallOrder, run: Run) -> CallReport:
        """Place the call; hang it up when the run is dropped, or when its report is long overdue. A call that is not
        reported even then is given up: its slot must not be taken for ever."""
        placing = asyncio.create_task(self.trunk.place(order, _Watch(run, self._clock)))
        withdrawing = asyncio.create_task(self._withdraw(order, run))
        dropping = asyncio.create_task(run.dropped.wait())
        overdue = order.lease.until + order.ring_seconds + order.longest_seconds + REPORT_SECONDS
        patience = max(0.0, overdue - self._clock.monotonic())
        try:
            await asyncio.wait([placing, dropping], timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not placing.done():
                await self.trunk.hang_up(order.id)
                await asyncio.wait([placing], timeout=HANG_UP_SECONDS)
            if placing.done():
                return placing.result()
            log.error("call_never_reported", batch=run.batch, item=run.item, attempt=run.attempt)
            return CallReport(CallEnd.outcome_unknown, self._clock.now(), text="The trunk never reported the call")
        finally:
            withdrawing.cancel()
            dropping.cancel()
            placing.cancel()

    async def _withdraw(self, order: CallOrder, run: Run) -> None:
        """Withdraw the call when the run is. The trunk's word is the report, or that the far side has the call."""
        await run.withdrawn.wait()
        if not run.dropped.is_set():
            await self.trunk.withdraw(order.id)

    def _outcome(self, report: CallReport, run: Run, config: CallsConfig) -> Outcome:
        now = self._clock.now()
        if report.dialled_at is not None:
            run.started = self._clock.monotonic() - (now - report.dialled_at).total_seconds()
        recording = None
        if report.recording is not None and self._recordings is not None:
            recording = self._recordings.keep(Path(report.recording))
        log.info(
            "call_ended",
            batch=run.batch,
            item=run.item,
            attempt=run.attempt,
            end=report.end.value,
            sip_code=report.sip_code,
            answered=report.answered_at is not None,
        )
        self._metrics.calls.labels(report.end.value).inc()
        if report.end is CallEnd.outcome_unknown:
            log.error("dialler_died_during_call", batch=run.batch, item=run.item, attempt=run.attempt)
        return outcome_of(report, run, config.retry, self._manners.least_gap, now, recording)


def _last_look() -> "LastLook":
    from covey.calls.intake.numbers import LastLook

    look = LastLook()
    look.refusal("+12025550123", live=True)
    return look


class _Watch:
    """Tells the engine that the far side was addressed, once that is certain; the rest it learns from the report."""

    def __init__(self, run: Run, clock: Clock) -> None:
        self._run = run
        self._clock = clock
        self._dialled: float | None = None

    def dialling(self) -> None:
        """The INVITE may leave from now on: within milliseconds, or once a name is resolved, or never."""
        self._dialled = self._clock.monotonic()

    def reached(self) -> None:
        """The far side has the INVITE."""
        self._run.started = self._dialled or self._clock.monotonic()

    def ringing(self) -> None:
        """The phone rings."""

    def answered(self) -> None:
        """The phone was answered."""

    def turn(self, turn: Turn) -> None:
        """Something was said."""
