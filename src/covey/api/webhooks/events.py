"""The events that an endpoint can ask for, in the words of its style, and what they are in the engine's.

The TwelveLabs words say how a batch or a task ended. The engine has one event for the end of a batch, and a task is a
batch of one; so what such an endpoint asked for is looked at once more when it is told: `type_of`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from covey.analysis.config import KIND as ANALYSIS
from covey.api.webhooks.signing import Style
from covey.domain.errors import BadRequest
from covey.domain.run import Json
from covey.domain.webhook import BATCH_EVENTS, ENDED_EVENTS, ITEM_EVENTS, Endpoint

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
class Wanted:
    """What an endpoint asks for, as the store keeps it: the engine's events, and the words of its style behind them."""

    events: tuple[str, ...]
    kind: str | None
    singles: bool


def wanted(style: Style, given: Sequence[str] | None, kind: str | None) -> Wanted:
    """What is kept for an endpoint that asks for `given`. Raises BadRequest naming the events there are."""
    asked = tuple(dict.fromkeys(USUAL[style] if given is None else given))
    unknown = [event for event in asked if event not in KNOWN[style]]
    if unknown or not asked:
        what = f"there is no event {unknown[0][:80]!r}" if unknown else "at least one is needed"
        raise BadRequest(f"events: {what}; for the style {style} there are: {', '.join(KNOWN[style])}")
    match style:
        case Style.standard:
            return Wanted(asked, kind, singles=False)
        case Style.twelvelabs:
            if kind not in (None, ANALYSIS):
                raise BadRequest(f"kind: the style twelvelabs only tells of the kind {ANALYSIS}")
            return _twelvelabs(asked)
        case _:
            assert_never(style)


def _twelvelabs(asked: tuple[str, ...]) -> Wanted:
    tasks = any(word in TASK_WORDS for word in asked)
    engine = ENDED_EVENTS if tasks else tuple(event for event, word in BATCH_WORDS.items() if word in asked)
    return Wanted((*engine, *asked), ANALYSIS, singles=tasks)


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
