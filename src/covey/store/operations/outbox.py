"""What happened, written down for every endpoint that wants to be told, in the transaction in which it happened."""

from datetime import datetime
from typing import Any

from covey.domain.ids import new_id
from covey.domain.run import End, RunState
from covey.domain.webhook import BATCH_EVENTS
from covey.store.operations.transaction import Database, micros, moment, text

BATCHES, ITEMS = 1, 2
"""What `listeners` of a locked batch says: somebody wants to hear of the batch, or of its items too."""

ENDS = {RunState.succeeded: "item.succeeded", RunState.failed: "item.failed"}

OutboxRow = tuple[Any, ...]
"""A row of `delivery_new`. It makes none, one or many deliveries: the endpoints are found by the statement."""


def stem(at: int) -> str:
    """How the ids of what happened at a time (microseconds) begin, in hex; the rest is random."""
    made: datetime = moment(at)
    return new_id(made)[:10]


def of_batch(batch: bytes, at: int, kind: str, data: str) -> list[OutboxRow]:
    """What is told of an event of this kind. Of a stop nothing: the end that it leads to is told."""
    type_ = f"batch.{kind}"
    return [(stem(at), None, type_, at, data, batch)] if type_ in BATCH_EVENTS else []


def of_item(batch: bytes, seq: int, attempt: int, at: int, end: End) -> list[OutboxRow]:
    """The event of an item's end, sent once. A late truth about an unknown outcome changes the stored result and sends
    nothing: a receiver counts each item once, and may have had the batch's end already."""
    if end.state not in ENDS:
        return []
    return [(stem(at), seq, ENDS[end.state], at, text({"code": end.code, "attempt": attempt}), batch)]


async def record_scheduled(database: Database, batch: bytes, now: int, start_at: int | None) -> None:
    """A batch was accepted that starts later."""
    if start_at is not None and start_at > now:
        data = text({"startAt": start_at})
        await database.many("delivery_new", of_batch(batch, now, "scheduled", data))


async def record_holding(database: Database, lane: str, since: datetime, reason: str | None) -> None:
    """The breaker of a lane has opened, which was closed before."""
    told = {"lane": lane, "stem": stem(micros(since)), "at": micros(since), "data": text({"reason": reason})}
    await database.write("delivery_holding", told)
