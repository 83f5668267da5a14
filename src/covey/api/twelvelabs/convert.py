"""The family's words, ids and times (`docs/contracts/twelvelabs.md` sections 1, 4 and 6)."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import NAMESPACE_OID, uuid5

from covey.domain.batch import Batch, BatchState, StopReason
from covey.domain.errors import BadRequest, NotFound
from covey.domain.ids import is_id
from covey.domain.item import Item, ItemState

if TYPE_CHECKING:
    from covey.api.kit.context import Context

BatchWord = Literal["pending", "processing", "canceling", "canceled", "completed", "expired"]
TaskWord = Literal["queued", "processing", "ready", "failed", "canceled"]
ModeWord = Literal["general", "time_based_metadata"]

_UNSTARTED = (BatchState.queued, BatchState.scheduled, BatchState.paused)

STATES_OF: dict[str, Sequence[BatchState]] = {
    "pending": _UNSTARTED,
    "processing": (BatchState.running, BatchState.paused, BatchState.stopping),
    "canceling": (BatchState.stopping,),
    "canceled": (BatchState.canceled, BatchState.failed),
    "completed": (BatchState.completed,),
    "expired": (BatchState.expired,),
}
"""The states that may read so; a paused and a stopping batch may read in two ways."""

ITEM_STATES: dict[str, ItemState] = {
    "queued": ItemState.waiting,
    "processing": ItemState.active,
    "ready": ItemState.succeeded,
    "failed": ItemState.failed,
    "canceled": ItemState.canceled,
}
TASK_WORDS: dict[ItemState, TaskWord] = {
    ItemState.waiting: "queued",
    ItemState.active: "processing",
    ItemState.succeeded: "ready",
    ItemState.failed: "failed",
    ItemState.canceled: "canceled",
}

CANCELED_CODES = {
    StopReason.cancel: ("batch_canceled", "The batch was canceled before it started"),
    StopReason.expire: ("batch_expired", "The batch expired before it started"),
    StopReason.budget: ("batch_canceled", "What was left of the batch's budget did not pay for it"),
    StopReason.fail: ("batch_canceled", "The batch could not go on before it started"),
}


def batch_word(batch: Batch) -> BatchWord:
    """The word for a batch's state (docs/contracts/twelvelabs.md 13.1). One that the clock stops reads as before until
    its items have ended; one that could not go on was canceled by the server."""
    match batch.state:
        case BatchState.completed:
            return "completed"
        case BatchState.expired:
            return "expired"
        case BatchState.canceled | BatchState.failed:
            return "canceled"
        case BatchState.stopping:
            return "processing" if batch.stop_reason is StopReason.expire else "canceling"
        case _:
            return "pending" if batch.started_at is None else "processing"


def ended_word(batch: Batch) -> BatchWord:
    """How a batch that was stopped or has ended reads once nothing of it is processed any more."""
    if batch.stop_reason is None:
        return "completed"
    return "expired" if batch.stop_reason is StopReason.expire else "canceled"


def time(at: datetime) -> str:
    """RFC 3339 with milliseconds and Z."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def identifier(text: str) -> str | None:
    """An id as it is stored; None if it is none. Case does not matter (docs/contracts/twelvelabs.md 13.7)."""
    ident = text.lower()
    return ident if is_id(ident) else None


def nothing_of(text: str, collection: str) -> NotFound:
    """What is answered for an id that the workspace has nothing of."""
    return NotFound(f"Resource with id {text[:80]} does not exist in collection {collection}")


def generation(item: Item) -> str:
    """The id of an answer: stable, and another one for every attempt."""
    return str(uuid5(NAMESPACE_OID, f"{item.id}/{item.last.attempt if item.last else 0}"))


def number(name: str, text: str | None, default: int, most: int = 10**9) -> int:
    """A number of the query."""
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= most:
        raise BadRequest(f"{name}: {text[:20]!r} is not a whole number from 1 to {most:,}")
    return int(text)


def page_of(ctx: "Context") -> tuple[int, int]:
    """The page that is asked for, from 1, and how long pages are."""
    query = ctx.request.query_params
    return number("page", query.get("page"), 1), number("page_limit", query.get("page_limit"), 10, 50)


def chosen(ctx: "Context", name: str, words: Sequence[str]) -> frozenset[str]:
    """What a repeatable parameter of the query names; everything if nothing."""
    given = ctx.request.query_params.getlist(name)
    for one in given:
        if one not in words:
            raise BadRequest(f"{name}: {one[:40]!r} is none of {', '.join(words)}")
    return frozenset(given or words)


FAULTS = {
    "batch_processing_timeout": "It was being processed when the batch expired",
    "user_canceled": "It was canceled while it was being processed",
    "internal_error": "Something went wrong inside the server",
}
"""Sentences of codes whose run left none."""

DROPPED = frozenset({"batch_processing_timeout", "user_canceled"})
"""Codes of runs that were dropped while they were at work."""
