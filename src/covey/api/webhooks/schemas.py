"""The shapes of the webhook routes. Times are RFC 3339; a secret is in the answer that makes it and nowhere else."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from covey.api.blank import Fields
from covey.api.numerals import Real
from covey.api.trillet.words import batch_out, call_out, iso
from covey.api.webhooks.events import asked_for
from covey.api.webhooks.signing import Style, message_id
from covey.calls.config import KIND as CALLS
from covey.domain.ids import item_id
from covey.domain.webhook import Delivery, DeliveryState, Endpoint

closed = with_config(ConfigDict(extra="forbid"))

Kind = Literal["calls", "analysis"]
Url = Annotated[str, Field(min_length=1, max_length=2000)]
Events = Annotated[list[Annotated[str, Field(max_length=100)]], Field(min_length=1, max_length=100)]
Description = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]

LONGEST_OVERLAP_HOURS = 30 * 24


class NewEndpoint(Fields):
    """Where to tell what happens. Without `events` it is told of batches, not of every item; `kind` limits it to
    batches of one kind."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    style: Style = Style.standard
    events: Events | None = None
    kind: Kind | None = None
    description: Description = ""


class EndpointChange(Fields):
    """What changes. `disabled`: false switches an endpoint on again that was switched off."""

    model_config = ConfigDict(extra="forbid")

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    disabled: bool | None = None


class Rotation(Fields):
    """For how long the old secret stays valid beside the new one; 0: not at all."""

    model_config = ConfigDict(extra="forbid")

    overlapHours: Annotated[Real, Field(ge=0, le=LONGEST_OVERLAP_HOURS)] = 24.0


class Resending(Fields):
    """Everything that failed since this time is sent again."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[str, Field(max_length=40)]


@closed
class EndpointOut(TypedDict):
    """Somewhere to be told. `failingSince`: nothing was accepted since then."""

    id: str
    url: str
    style: str
    events: list[str]
    kind: str | None
    description: str
    disabled: bool
    disabledAt: str | None
    disabledReason: str | None
    failingSince: str | None
    deliveredAt: str | None
    createdAt: str
    secret: NotRequired[str | None]


@closed
class SecretOut(TypedDict):
    """A new secret; those before it sign beside it until `oldValidUntil`."""

    secret: str | None
    oldValidUntil: str


@closed
class DeliveryOut(TypedDict):
    """One event for one endpoint. `messageId` is the id that the receiver sees, the same at every try; `status` and
    `error` are what the last try came to. `skipped`: the endpoint had not asked for it."""

    id: str
    messageId: str
    type: str
    batchId: str
    itemId: NotRequired[str]
    state: Literal["waiting", "delivered", "failed", "skipped"]
    attempts: int
    at: str
    nextAt: str | None
    status: int | None
    error: str | None
    endedAt: str | None


@closed
class DeliveryList(TypedDict):
    """A page, newest first; `before` leads to the next."""

    deliveries: list[DeliveryOut]
    before: NotRequired[str]


@closed
class TestResult(TypedDict):
    """What came of a test."""

    delivered: bool
    messageId: str
    status: int | None
    error: str | None


@closed
class SentAgain(TypedDict):
    """How many deliveries are sent again."""

    count: int


def endpoint_out(endpoint: Endpoint) -> EndpointOut:
    """An endpoint as the wire has it."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "style": endpoint.style,
        "events": asked_for(endpoint),
        "kind": endpoint.kind,
        "description": endpoint.description,
        "disabled": endpoint.off_at is not None,
        "disabledAt": _maybe(endpoint.off_at),
        "disabledReason": endpoint.off_reason,
        "failingSince": _maybe(endpoint.failing_since),
        "deliveredAt": _maybe(endpoint.delivered_at),
        "createdAt": iso(endpoint.created_at),
    }


def delivery_out(delivery: Delivery, style: Style) -> DeliveryOut:
    """A delivery as the wire has it."""
    calls = delivery.data.get("kind") == CALLS
    found: DeliveryOut = {
        "id": delivery.id,
        "messageId": message_id(style, delivery.id),
        "type": delivery.type,
        "batchId": batch_out(delivery.batch) if calls else delivery.batch,
        "state": _state(delivery),
        "attempts": delivery.attempts,
        "at": iso(delivery.at),
        "nextAt": _maybe(delivery.next_at),
        "status": delivery.status,
        "error": delivery.error,
        "endedAt": _maybe(delivery.ended_at),
    }
    if delivery.seq is not None:
        ident = call_out if calls else item_id
        found["itemId"] = ident(delivery.batch, delivery.seq)
    return found


def _state(delivery: Delivery) -> Literal["waiting", "delivered", "failed", "skipped"]:
    """What was delivered without an answer was never sent: its endpoint had not asked for it."""
    if delivery.state is DeliveryState.delivered:
        return "skipped" if delivery.status is None else "delivered"
    return "waiting" if delivery.state is DeliveryState.waiting else "failed"


def hidden(body: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without its secret, as an Idempotency-Key keeps it."""
    return {**body, "secret": None}


def _maybe(at: datetime | None) -> str | None:
    return None if at is None else iso(at)
