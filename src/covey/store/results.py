"""What operations answer that is no object of the domain."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from covey.domain.batch import Batch
from covey.domain.run import ClaimedRuns
from covey.domain.webhook import Delivery, Endpoint


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim came to: a portion or nothing, and when asking again may bring more (None: not before a wakeup)."""

    portion: ClaimedRuns | None
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class FinishReport:
    """What a finish wrote. `stale` are runs whose fence had fallen: they changed nothing. `ended` are the batches
    that came to their end with it, `paused` those that it paused."""

    written: int
    stale: tuple[tuple[str, int, int], ...] = ()
    ended: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """A stop's answer: the batch as it is now, and whether this call was the one that stopped it."""

    batch: Batch
    first: bool


@dataclass(frozen=True, slots=True)
class Dropped:
    """A run its worker is told to drop, and why: `aborted` or `expired`."""

    batch: str
    seq: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One worker's life as others see it.

    `alive`: it holds its lock. One that does not and is not given up (`dead_at` None) may come back. `beat_seconds` is
    the age of its last sign, `active` the number of runs in its hands. Host, pid and version are None where one process
    has the database to itself.
    """

    id: str
    alive: bool
    active: int
    started_at: datetime
    dead_at: datetime | None = None
    beat_seconds: float | None = None
    host: str | None = None
    pid: int | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is to be sent now, and where to."""

    delivery: Delivery
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Tried:
    """What a try to deliver came to: the HTTP status (None: no answer), why it failed (None: it did not), when to try
    again (None: not any more), and whether the receiver said that it is gone for good. With neither status nor error
    nothing was sent, as the endpoint had not asked for it: the delivery ends, and says nothing about the endpoint."""

    status: int | None
    error: str | None
    again_at: datetime | None
    gone: bool = False
    off_after: timedelta = timedelta(days=5)

    @property
    def accepted(self) -> bool:
        """Whether the receiver took it."""
        return self.error is None and self.status is not None
