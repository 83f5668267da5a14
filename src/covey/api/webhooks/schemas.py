"""The shapes of the webhook routes. Times are RFC 3339; a secret is in the answer that makes it and nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, assert_never

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from covey.analysis.config import KIND as ANALYSIS
from covey.api.kit.blank import Fields
from covey.api.kit.formats import iso
from covey.api.kit.numerals import Real
from covey.api.webhooks.signing import Style
from covey.domain.errors import BadRequest
from covey.domain.run import Json
from covey.domain.webhook import BATCH_EVENTS, ENDED_EVENTS, ITEM_EVENTS, Endpoint

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
        "disabledAt": maybe_iso(endpoint.off_at),
        "disabledReason": endpoint.off_reason,
        "failingSince": maybe_iso(endpoint.failing_since),
        "deliveredAt": maybe_iso(endpoint.delivered_at),
        "createdAt": iso(endpoint.created_at),
    }


def hidden(body: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without its secret, as an Idempotency-Key keeps it."""
    return {**body, "secret": None}


def maybe_iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at)


TEST = "webhook.test"

BATCH_WORDS = {
    "batch.completed": "analyze.batch.completed",
    "batch.canceled": "analyze.batch.canceled",
    "batch.expired": "analyze.batch.expired",
}
TASK_WORDS = ("analyze.task.ready", "analyze.task.failed", "analyze.task.canceled")

KNOWN = {
    Style.standard: (*BATCH_EVENTS, *ITEM_EVENTS),
    Style.twelvelabs: (*BATCH_WORDS.values(), *TASK_WORDS),
}
"""What an endpoint of a style can ask for."""

USUAL = {Style.standard: BATCH_EVENTS, Style.twelvelabs: KNOWN[Style.twelvelabs]}
"""What an endpoint is told of that does not say: batches, not every item."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What an endpoint asks for, as the store keeps it: the engine's events, and the words of its style behind them."""

    events: tuple[str, ...]
    kind: str | None
    singles: bool


def wanted(style: Style, events: Sequence[str] | None, kind: str | None) -> EventFilter:
    """What is kept for an endpoint that asks for `events`. Raises BadRequest naming the events there are."""
    asked = tuple(dict.fromkeys(USUAL[style] if events is None else events))
    unknown = [event for event in asked if event not in KNOWN[style]]
    if unknown or not asked:
        what = f"there is no event {unknown[0][:80]!r}" if unknown else "at least one is needed"
        raise BadRequest(f"events: {what}; for the style {style} there are: {', '.join(KNOWN[style])}")
    match style:
        case Style.standard:
            return EventFilter(asked, kind, singles=False)
        case Style.twelvelabs:
            if kind not in (None, ANALYSIS):
                raise BadRequest(f"kind: the style twelvelabs only tells of the kind {ANALYSIS}")
            return _twelvelabs(asked)
        case _:
            assert_never(style)


def _twelvelabs(events: tuple[str, ...]) -> EventFilter:
    tasks = any(word in TASK_WORDS for word in events)
    engine = ENDED_EVENTS if tasks else tuple(event for event, word in BATCH_WORDS.items() if word in events)
    return EventFilter((*engine, *events), ANALYSIS, singles=tasks)


def asked_for(endpoint: Endpoint) -> list[str]:
    """The events of an endpoint, as it asked for them."""
    known = KNOWN[Style(endpoint.style)]
    return [event for event in endpoint.events if event in known]


def type_of(endpoint: Endpoint, event: str, snapshot: Json) -> str | None:
    """The word that an endpoint is told; None if it is not to be told."""
    if Style(endpoint.style) is Style.standard or event == TEST:
        return event
    word = _task_word(event, snapshot) if snapshot.get("origin") == "single" else BATCH_WORDS.get(event)
    return word if word in endpoint.events else None


def _task_word(event: str, snapshot: Json) -> str | None:
    if event not in ENDED_EVENTS:
        return None
    counts = snapshot.get("counts") or {}
    if counts.get("succeeded"):
        return "analyze.task.ready"
    return "analyze.task.failed" if counts.get("failed") else "analyze.task.canceled"
