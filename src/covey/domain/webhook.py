"""Webhooks: where a workspace wants to be told what happens, and each telling, a row of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from covey.domain.run import Json

BATCH_EVENTS = (
    "batch.scheduled",
    "batch.started",
    "batch.paused",
    "batch.resumed",
    "batch.holding",
    "batch.completed",
    "batch.canceled",
    "batch.expired",
    "batch.failed",
)
ITEM_EVENTS = ("item.succeeded", "item.failed")
DELIVERIES_KEPT = timedelta(days=7)
"""How long deliveries are kept after their end."""

ENDED_EVENTS = ("batch.completed", "batch.canceled", "batch.expired", "batch.failed")


class DeliveryState(StrEnum):
    """Where a delivery is: to be tried (again), accepted by its receiver, or given up."""

    waiting = "waiting"
    delivered = "delivered"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Somewhere to be told.

    `style` names the envelope and signature, in the words of the API. `events` are what it is told of, of BATCH_EVENTS
    and ITEM_EVENTS. `kind` limits it to batches of one kind, `batch` to a single batch, with which it goes once
    nothing waits for it; `singles`
    says that the end of batches of one, which no list shows, is told too. `secrets` are encrypted, the newest first;
    each but the first has a time after which it signs no more. `off_at` and `off_reason`: it is told nothing any more.
    """

    id: str
    workspace: str
    url: str
    style: str
    events: tuple[str, ...]
    secrets: tuple[tuple[bytes, datetime | None], ...]
    created_at: datetime
    description: str = ""
    kind: str | None = None
    batch: str | None = None
    singles: bool = False
    failing_since: datetime | None = None
    delivered_at: datetime | None = None
    off_at: datetime | None = None
    off_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint. `id` stays the same however often it is sent.

    `seq` is the item of an item event. `data` is the batch as it was: name, kind, lane, origin, mode, times and
    counts, with the event's own data. `status` and `error` are what the last try came to.
    """

    id: str
    endpoint: str
    workspace: str
    batch: str
    seq: int | None
    type: str
    at: datetime
    data: Json
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    status: int | None = None
    error: str | None = None
    ended_at: datetime | None = None
