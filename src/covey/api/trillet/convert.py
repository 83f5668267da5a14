"""The one place that translates: engine's words, ids and times into the wire's, and back."""

from collections.abc import Mapping
from typing import Any, assert_never

from covey.api.trillet.schemas import BatchWord, CallWord
from covey.calls.config import KIND
from covey.domain.batch import Batch, BatchState, StopReason
from covey.domain.errors import NotFound
from covey.domain.ids import is_id, item_id, split_item_id
from covey.domain.item import ItemState

BATCH_PREFIX = "batch_"
CALL_PREFIX = "call_"
AGENT_PREFIX = "agent_"


def batch_word(batch: Batch) -> BatchWord:
    """A batch's status."""
    state = batch.state
    match state:
        case BatchState.scheduled | BatchState.queued:
            return "queued"
        case BatchState.running | BatchState.paused:
            return "processing"
        case BatchState.stopping:
            return "failed" if batch.stop_reason is StopReason.fail else "cancelled"
        case BatchState.canceled | BatchState.expired:
            return "cancelled"
        case BatchState.failed:
            return "failed"
        case BatchState.completed:
            return "completed"
        case _:
            assert_never(state)


STATES_OF: dict[str, tuple[BatchState, ...]] = {
    "queued": (BatchState.scheduled, BatchState.queued),
    "processing": (BatchState.running, BatchState.paused),
    "completed": (BatchState.completed,),
    "cancelled": (BatchState.stopping, BatchState.canceled, BatchState.expired),
    "failed": (BatchState.failed,),
}
"""Which batches a filter by status means."""

CALL_STATES: dict[str, ItemState] = {
    "waiting": ItemState.waiting,
    "active": ItemState.active,
    "completed": ItemState.succeeded,
    "failed": ItemState.failed,
    "cancelled": ItemState.canceled,
}
_CALL_WORDS: dict[ItemState, CallWord] = {
    ItemState.waiting: "waiting",
    ItemState.active: "active",
    ItemState.succeeded: "completed",
    ItemState.failed: "failed",
    ItemState.canceled: "cancelled",
}

HISTORY_WORDS = {
    "stopped": "cancelled",
    "aborted": "hang_up",
    "item_aborted": "call_hang_up",
    "erased": "data_deleted",
    "canceled": "ended",
    "expired": "ended",
    "failed": "ended",
}
"""Events whose wire name differs from the engine's."""

_EVENT_DATA = {"canceled": "cancelled", "cap": "maxConcurrent", "pace": "callsPerSecond"}

SENTENCES = {
    "busy": "Number busy",
    "no_answer": "No answer",
    "unavailable": "Number unavailable",
    "rejected": "Call rejected",
    "invalid_number": "Number does not exist",
    "premium_number": "Premium numbers are never called",
    "satellite_number": "Satellite numbers are never called",
    "moved": "Number has moved",
    "codec_mismatch": "No common audio format",
    "trunk_auth": "The trunk refused the call",
    "trunk_unavailable": "The trunk could not take the call",
    "no_final_answer": "No final answer from the network; the phone may have rung",
    "outcome_unknown": "The server stopped during the call; what came of it is not known",
    "aborted": "Hung up on request",
    "interrupted": "Hung up because the server was stopped",
    "provider_error": "The trunk failed for this number again and again",
    "do_not_call": "The number is on the do-not-call list",
}
"""What a code means, for runs that carry no sentence of their own."""


def call_word(state: ItemState) -> CallWord:
    """A call's status."""
    return _CALL_WORDS[state]


def event_data(batch: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What an event carries, in the wire's words."""
    found = {_EVENT_DATA.get(name, name): value for name, value in data.items()}
    if "seq" in found:
        found["jobId"] = call_out(batch, int(found.pop("seq")))
    return found


def event_word(event: str, data: Any) -> str:
    """An event's name in a batch's history; a stop is named by its reason."""
    if event == "stopped":
        reasons = {"expire": "expired", "fail": "failed", "budget": "budget_reached"}
        return reasons.get(str(data.get("reason")), "cancelled")
    return HISTORY_WORDS.get(event, event)


def batch_out(batch: str) -> str:
    """A batch's id on the wire."""
    return f"{BATCH_PREFIX}{batch}"


def call_out(batch: str, seq: int) -> str:
    """A call's id on the wire."""
    return f"{CALL_PREFIX}{item_id(batch, seq)}"


def agent_out(agent: str) -> str:
    """An agent's id on the wire."""
    return f"{AGENT_PREFIX}{agent}"


def batch_in(text: str) -> str:
    """The engine's id of a batch. A malformed one is simply unknown (contract 12.14): NotFound."""
    found = text.removeprefix(BATCH_PREFIX)
    if text.startswith(BATCH_PREFIX) and is_id(found) and found.endswith("000000"):
        return found
    raise no_batch(text)


def call_in(text: str, batch: str | None = None) -> tuple[str, int]:
    """The (batch, seq) of a call's id; NotFound if it is none, or none of `batch`."""
    found = split_item_id(text.removeprefix(CALL_PREFIX)) if text.startswith(CALL_PREFIX) else None
    if found is None or (batch is not None and found[0] != batch):
        raise no_call()
    return found


def agent_in(text: str) -> str:
    """The engine's id of an agent; NotFound if it is none."""
    found = text.removeprefix(AGENT_PREFIX)
    if is_id(found):
        return found
    raise no_agent(text)


def no_batch(text: str) -> NotFound:
    """The answer for a batch that is not there, or not this workspace's; `id` is what was asked for."""
    return NotFound("There is no batch of calls of this id in the workspace", id=text[:200])


def no_call() -> NotFound:
    """The answer for a call that is not there."""
    return NotFound("There is no call of this id in this batch")


def no_agent(text: str) -> NotFound:
    """The answer for an agent that is not there."""
    return NotFound("There is no agent of this id in the workspace", id=text[:200])


def is_calls(batch: Batch) -> bool:
    """Whether the batch belongs to this family."""
    return batch.kind == KIND
