"""The door to what executes runs: everything a runner sees of the engine is in this module.

A runner of one's own is a class with this protocol, registered as an entry point of the group `covey.runners`.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from covey.domain.ids import item_id
from covey.domain.run import Aborted, Blame, Failed, Outcome, Retry, Returned, Succeeded

__all__ = ["Aborted", "Blame", "CannotGoOn", "Failed", "Outcome", "Retry", "Returned", "Run", "Runner", "Succeeded"]


@dataclass(slots=True)
class Run:
    """One execution of an item, in a worker's hands.

    `config` is the batch's frozen configuration. `tries` counts the executions before this one that reached the far
    side. `start_at` and `licence_until` are seconds of the monotonic clock: start not before the first, and if the
    far side was not addressed by the second, answer `Returned("not_started")` instead.
    """

    batch: str
    workspace: str
    lane: str
    seq: int
    attempt: int
    tries: int
    custom_id: str | None
    ref: str | None
    config: Mapping[str, Any]
    input: bytes
    start_at: float
    licence_until: float
    started: float | None = None
    progress: tuple[float, float] | None = None
    drop_reason: str | None = None
    dropped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def item(self) -> str:
        """The item's id."""
        return item_id(self.batch, self.seq)

    def advance(self, done: float, whole: float) -> None:
        """Say how far this run is, in a unit of the runner's own. Readers see it within seconds."""
        self.progress = (done, whole)

    def drop(self, reason: str) -> None:
        """Ask the runner to end this run now: `aborted`, `expired` or `interrupted`. The first reason stays."""
        if self.drop_reason is None:
            self.drop_reason = reason
            self.dropped.set()


class CannotGoOn(Exception):
    """The batch cannot go on, and no wait will help: its configuration or its rows cannot be read. It is stopped with
    the reason `fail`; the text says why, to a person."""


class Runner(Protocol):
    """Executes runs of one kind."""

    kind: str

    async def run(self, run: Run) -> Outcome:
        """Execute one run and say what came of it.

        Set `run.started` (monotonic seconds) when the far side is first addressed. Watch `run.dropped`. Raise
        CannotGoOn if the batch is beyond help. Any other exception is the runner's own
        fault: the engine writes the item down as failed, `internal_error`.
        """
        ...

    async def ping(self, lane: str) -> str | None:
        """None if the lane's far side answers; else a sentence saying what is wrong. Called while work waits."""
        ...
