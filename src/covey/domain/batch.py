"""A batch: its facts, its counts, and the state that follows from both.

A state is never stored. `batch_state` is the one place that derives it; `docs/testing.md` and the APIs read the same
table.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from covey.domain.run import Json
from covey.domain.usage import Prices


class BatchState(StrEnum):
    """Where a batch is in its life."""

    scheduled = "scheduled"
    queued = "queued"
    running = "running"
    paused = "paused"
    stopping = "stopping"
    canceled = "canceled"
    expired = "expired"
    failed = "failed"
    completed = "completed"


class StopReason(StrEnum):
    """Why a batch was ended early: a person, the clock, the money, or that it cannot go on."""

    cancel = "cancel"
    expire = "expire"
    budget = "budget"
    fail = "fail"


def stopped_state(reason: StopReason) -> BatchState:
    """The state a batch stopped for `reason` ends in."""
    match reason:
        case StopReason.cancel | StopReason.budget:
            return BatchState.canceled
        case StopReason.expire:
            return BatchState.expired
        case StopReason.fail:
            return BatchState.failed
        case _:
            assert_never(reason)


@dataclass(frozen=True, slots=True)
class NewItem:
    """One row of the list as it is given: `input` is JSON; `ref` is what it is about; `zone` names its IANA time
    zones, joined by commas where it may be in several."""

    input: bytes
    ref: str | None = None
    zone: str | None = None
    custom_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch before its items.

    `config` is JSON and never changes. `max_tries` is the budget of every item. `repeatable` says that a run may be
    repeated when its worker is lost; `exclusive` that no two items of a workspace with one `ref` may be active at
    once; `self_pausing` that it pauses itself when items fail alike again and again. `hours` are the local times within
    which items start (`HH:MM-HH:MM`). `cap` (most active at once) and `pace` (starts a second) are the batch's own
    limits beside its lane's. `fingerprint` tells a batch given twice to one lane. `origin` is `batch`, or `single` for
    a batch of one that lists do not show. `notes` is JSON that the API keeps with it. What succeeds is charged by
    `prices`; `max_cost` is what the batch may cost, `run_cost` the most that one run of it can, both in millionths. The
    batch is deleted `keep` after its end, or at `deletes_at` if it has ended.
    """

    id: str
    workspace: str
    kind: str
    lane: str
    config: bytes
    created_at: datetime
    name: str | None = None
    origin: str = "batch"
    start_at: datetime | None = None
    expires_at: datetime | None = None
    max_tries: int = 1
    repeatable: bool = False
    exclusive: bool = False
    self_pausing: bool = True
    hours: str | None = None
    cap: int | None = None
    pace: float | None = None
    fingerprint: str | None = None
    notes: Json = field(default_factory=dict)
    prices: Prices = field(default_factory=Prices)
    max_cost: int | None = None
    run_cost: int = 0
    keep: timedelta | None = None
    deletes_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items are where. `waiting` is what is left: never claimed yet, or deferred."""

    total: int
    active: int
    succeeded: int
    failed: int
    canceled: int
    succeeded_seconds: float = 0.0
    last_succeeded_at: datetime | None = None
    last_ended_at: datetime | None = None
    spent: int = 0
    """What its succeeded items cost, in millionths."""

    @property
    def waiting(self) -> int:
        return self.total - self.active - self.succeeded - self.failed - self.canceled


@dataclass(frozen=True, slots=True)
class Batch:
    """The facts of a batch as they are at one moment, counts and all, read in one snapshot."""

    id: str
    workspace: str
    kind: str
    lane: str
    config: bytes
    origin: str
    name: str | None
    created_at: datetime
    start_at: datetime | None
    started_at: datetime | None
    paused_at: datetime | None
    pause_reason: str | None
    stopped_at: datetime | None
    stop_reason: StopReason | None
    stop_message: str | None
    aborted_at: datetime | None
    completed_at: datetime | None
    expires_at: datetime | None
    cap: int | None
    pace: float | None
    hours: str | None
    max_tries: int
    next_at: datetime | None
    notes: Json
    counts: Counts
    read_at: datetime
    deletes_at: datetime | None = None
    max_cost: int | None = None
    run_cost: int = 0

    @property
    def state(self) -> BatchState:
        return batch_state(self, self.read_at)

    @property
    def ended(self) -> bool:
        """No item is waiting or active any more."""
        return self.completed_at is not None


def batch_state(batch: Batch, now: datetime) -> BatchState:
    """The state that the facts of `batch` make at `now`."""
    if batch.stop_reason is not None:
        return stopped_state(batch.stop_reason) if batch.completed_at else BatchState.stopping
    if batch.completed_at is not None:
        return BatchState.completed
    if batch.paused_at is not None:
        return BatchState.paused
    if batch.started_at is not None:
        return BatchState.running
    if batch.start_at is not None and batch.start_at > now:
        return BatchState.scheduled
    return BatchState.queued


@dataclass(frozen=True, slots=True)
class Holding:
    """Why a batch that could go on starts nothing now."""

    code: str
    message: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a batch; `actor` is the key that asked for it, None for Covey itself."""

    id: int
    batch: str
    at: datetime
    type: str
    actor: str | None
    data: Json


@dataclass(frozen=True, slots=True)
class Quota:
    """What a workspace may have open at once, checked when a batch is accepted. Batches are counted kind by kind."""

    unended_batches: int = 100
    waiting_items: int = 5_000_000
    duplicate_window: timedelta = timedelta(minutes=10)
    allow_duplicate: bool = False
