"""The door to what executes runs: everything a runner sees of the engine is in this module.

A runner of one's own is a class with this protocol, registered as an entry point of the group `covey.runners`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from covey.domain.ids import item_id
from covey.domain.run import NOT_STARTED, Aborted, Blame, Failed, Outcome, Retry, Returned, Succeeded

__all__ = ["Aborted", "Blame", "CannotGoOn", "Failed", "Outcome", "Retry", "Returned", "Run", "Runner", "Succeeded"]

INTERRUPTED = "interrupted"
"""Why a run is dropped whose server ends: nobody asked for that, so one that has not started goes back."""


@dataclass(slots=True)
class Run:
    """One execution of an item, in a worker's hands.

    `config` is what the runner's `load_config` made of the batch's configuration. `tries` counts the executions before
    this one that reached the far side. `start_at` and `lease_until` are seconds of the monotonic clock: start not
    before the first, and if the far side was not addressed by the second, answer `Returned("not_started")` instead.

    A run can be withdrawn as long as it has not started. `withdraw` sets `withdrawn`, and from then on its runner has
    two choices: end it by `unstarted()` and never address the far side for it, or, where the start cannot be taken
    back any more, set `started`. Whichever comes first settles the future that `withdraw` returns.
    """

    batch: str
    workspace: str
    lane: str
    seq: int
    attempt: int
    tries: int
    custom_id: str | None
    ref: str | None
    config: Any
    input: bytes
    start_at: float
    lease_until: float
    progress: tuple[float, float] | None = None
    drop_reason: str | None = None
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    _started: float | None = field(default=None, init=False)
    _withdrawn: asyncio.Event | None = field(default=None, init=False)
    _fate: asyncio.Future[bool] | None = field(default=None, init=False)

    @property
    def item(self) -> str:
        """The item's id."""
        return item_id(self.batch, self.seq)

    @property
    def key(self) -> tuple[str, int, int]:
        """Batch, seq, attempt."""
        return self.batch, self.seq, self.attempt

    @property
    def started(self) -> float | None:
        """When the far side was first addressed, in monotonic seconds. A runner sets it as soon as that is certain:
        from then on the run cannot be withdrawn."""
        return self._started

    @started.setter
    def started(self, at: float | None) -> None:
        self._started = at
        if at is not None:
            self._settle(True)

    @property
    def withdrawn(self) -> asyncio.Event:
        """Set when the run is not to start any more. Looked at until it starts, not after."""
        if self._withdrawn is None:
            self._withdrawn = asyncio.Event()
        return self._withdrawn

    @property
    def is_withdrawn(self) -> bool:
        """Whether it was withdrawn, or dropped; what that came to may not be known yet."""
        return self._withdrawn is not None and self._withdrawn.is_set()

    def withdraw(self) -> asyncio.Future[bool]:
        """Ask for the run back. The future says whether it started all the same; False comes once its end is on disk.
        Any number may ask, and wait for the same future."""
        if self._fate is None:
            self._fate = asyncio.get_running_loop().create_future()
            if self._started is not None:
                self._fate.set_result(True)
        self.withdrawn.set()
        return self._fate

    def recorded(self) -> None:
        """The engine's: its end is on disk."""
        self._settle(False)

    def _settle(self, started: bool) -> None:
        if self._fate is not None and not self._fate.done():
            self._fate.set_result(started)

    async def turn(self, monotonic: Callable[[], float]) -> bool:
        """Wait for the run's own start time. True: it starts now. False: it must not, as it was withdrawn or dropped,
        or as it is too late; answer `unstarted()`.

        For runners that address the far side in the very next step, and by themselves.
        """
        early = self.start_at - monotonic()
        if early > 0 and not self.withdrawn.is_set():
            try:
                async with asyncio.timeout(early):
                    await self.withdrawn.wait()
            except TimeoutError:
                pass
        if self.withdrawn.is_set() or (now := monotonic()) > self.lease_until:
            return False
        self.started = now
        return True

    def unstarted(self, why: str = "") -> Outcome:
        """What a run comes to that has not started: its item goes back, unless the run was dropped."""
        if self.drop_reason in (None, INTERRUPTED):
            return Returned(NOT_STARTED, why)
        return Aborted(self.drop_reason)

    def advance(self, done: float, whole: float) -> None:
        """Say how far this run is, in a unit of the runner's own. Readers see it within seconds."""
        self.progress = (done, whole)

    def drop(self, reason: str) -> None:
        """Ask the runner to end this run now, also if it has started: `aborted`, `expired` or `interrupted`. The first
        reason stays."""
        if self.drop_reason is None:
            self.drop_reason = reason
            self.dropped.set()
            self.withdrawn.set()


class CannotGoOn(Exception):
    """The batch cannot go on, and no wait will help: its configuration or its rows cannot be read. It is stopped with
    the reason `fail`; the text says why, to a person."""


class Runner(Protocol):
    """Executes runs of one kind."""

    kind: str

    def load_config(self, config: bytes) -> Any:
        """What `run.config` is for the runs of a batch, made of its frozen configuration, which is JSON. The engine
        keeps it for further runs of the batch. Raises CannotGoOn if it cannot be read: no wait will help."""
        ...

    async def run(self, run: Run) -> Outcome:
        """Execute one run and say what came of it.

        Before the start, watch `run.withdrawn`; set `run.started` when the far side is first addressed (`run.turn`
        does both); after that, watch `run.dropped`. Raise CannotGoOn if the batch is beyond help. Any other exception
        is the runner's own fault: the engine writes the item down as failed, `internal_error`.
        """
        ...

    async def ping(self, lane: str) -> str | None:
        """None if the lane's far side answers; else a sentence saying what is wrong. Called while work waits."""
        ...
