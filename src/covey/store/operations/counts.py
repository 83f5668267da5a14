"""The hot rows of batches while an operation changes them, written back once.

Claim, finish, settle and the people's commands move the same counts; here is the one place that does it, and that
sees a batch end.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from covey.domain.batch import StopReason, stopped_state
from covey.domain.lane import START_HORIZON, next_free
from covey.domain.run import End
from covey.store.operations.outbox import BATCHES, ITEMS, OutboxRow, of_batch, of_item
from covey.store.operations.rows import LockedRow, OfBatch
from covey.store.operations.transaction import Database, micros, moment, span_micros, text
from covey.store.operations.usage import Used, affordable

KEPT = (
    "cursor", "deferred", "active", "succeeded", "failed", "canceled", "succeeded_seconds", "last_succeeded_at",
    "last_ended_at", "next_start", "next_at", "served_at", "streak", "streak_code", "stopped", "spent", "id",
)  # fmt: skip


class LockedBatch:
    """A batch's facts and counts (`row`), read under the lock, changed in memory, written by `save`.

    Times in it are microseconds; `now` is the time under the lock.
    """

    def __init__(self, row: LockedRow, now: int) -> None:
        self.row = row
        self.now = now
        self.codes: Counter[str] = Counter()
        self.used = Used()
        self.events: list[tuple[Any, ...]] = []
        self.items_told: list[OutboxRow] = []
        self.moved = False
        self.not_before: int | None = None

    @property
    def waiting(self) -> int:
        """Items never claimed yet, and deferred ones."""
        row = self.row
        return 0 if row.stopped_at is not None else int(row.total - row.cursor + row.deferred)

    @property
    def open(self) -> bool:
        """Neither stopped nor ended."""
        return self.row.stopped_at is None and self.row.completed_at is None

    @property
    def may_be_dropped(self) -> bool:
        """Whether it has active runs that may be dropped without harm and were not told to end yet."""
        row = self.row
        return bool(row.repeatable and row.active and row.aborted_at is None)

    @property
    def slots(self) -> int | None:
        """How many more may be active by the batch's own cap and by its money; None where neither limits it."""
        row = self.row
        own = None if row.cap is None else row.cap - row.active
        paid = affordable(row)
        most = own if paid is None else paid if own is None else min(own, paid)
        return None if most is None else max(0, most)

    @property
    def broke(self) -> bool:
        """Whether it has items to start, cannot pay for even one, and no active run may give something back."""
        if self.row.active or not self.open or not self.waiting:
            return False
        paid = affordable(self.row)
        return paid is not None and paid <= 0

    @property
    def may_start(self) -> bool:
        """Whether it is to start something now."""
        row = self.row
        return self.open and row.paused_at is None and row.next_at is not None and row.next_at <= self.now

    def event(self, kind: str, actor: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Write down, with the next save, that something happened to the batch."""
        self.events.append(event(self.row, self.now, kind, actor, data))

    def item_ended(self, seq: int, attempt: int, end: End) -> None:
        """Tell, with the next save, that an item came to its end, if anybody wants to know."""
        if (self.row.listeners or 0) >= ITEMS:
            self.items_told += of_item(self.row.id, seq, attempt, self.now, end)

    @property
    def outbox_rows(self) -> list[OutboxRow]:
        """What is to be told of all that happened to the batch; nothing where nobody wants to know."""
        if (self.row.listeners or 0) < BATCHES:
            return []
        events = [one for _, id_, at, kind, _, data in self.events for one in of_batch(id_, at, kind, data)]
        return self.items_told + events

    def find_next(self, not_before: int | None = None) -> None:
        """Find out, with the next save, when the batch may next start something."""
        self.moved = True
        self.not_before = not_before

    def set_next(self, next_deferred: int | None) -> None:
        """Set when it may next start something: at once while the cursor has items, else when one is due, in neither
        case before its own pace allows it. One that is broke is due: a claim stops it."""
        row = self.row
        if not self.open or row.paused_at is not None or (self.slots == 0 and not self.broke):
            row.next_at = None
            return
        due = next_deferred if row.cursor == row.total else row.start_at or 0
        if due is not None and row.pace and row.next_start:
            row.next_start = micros(next_free(moment(row.next_start), row.pace, moment(self.now)))
            due = max(due, row.next_start - span_micros(START_HORIZON))
        if due is not None and self.not_before is not None:
            due = max(due, self.not_before)
        row.next_at = due

    @property
    def ends(self) -> bool:
        """Whether the batch comes to its end with this."""
        return self.row.completed_at is None and self.row.active == 0 and self.waiting == 0


async def locked_batch(database: Database, batch: bytes, now: int) -> LockedBatch | None:
    """The hot row of a batch; None if it is no batch (a draft, or gone)."""
    found = await hots(database, [batch], now)
    return found.get(batch)


async def hots(database: Database, batches: Iterable[bytes], now: int) -> dict[bytes, LockedBatch]:
    """The hot rows of those of `batches` that are batches."""
    return {
        row.id: LockedBatch(row, now) for row in await database.each_named("batch_hot", [(batch,) for batch in batches])
    }


async def save(database: Database, batches: Sequence[LockedBatch]) -> list[LockedBatch]:
    """Write hot rows back, with what happened to them; those whose batch came to its end with it."""
    await _set_next(database, [batch for batch in batches if batch.moved])
    ended = [batch for batch in batches if batch.ends]
    for batch in ended:
        batch.row.next_at = None
        reason = batch.row.stop_reason
        batch.event("completed" if reason is None else stopped_state(StopReason(reason)).value)
    await database.many("counts_move", [tuple(getattr(batch.row, name) for name in KEPT) for batch in batches])
    codes = [(batch.row.id, code, n) for batch in batches for code, n in sorted(batch.codes.items())]
    await database.many("outcome_add", [one for one in codes if one[2] > 0])
    await database.many("outcome_take", [(n, batch, code) for batch, code, n in codes if n < 0])
    used = [batch.used.line(batch.row, batch.now) for batch in batches if batch.used.items]
    await database.many("usage_add", used)
    await database.many("batch_complete", [(batch.now, batch.row.id) for batch in ended])
    await database.many("counts_end", [(batch.row.id,) for batch in ended])
    await database.many("event_new", [one for batch in batches for one in batch.events])
    await database.many("delivery_new", [one for batch in batches for one in batch.outbox_rows])
    return ended


async def _set_next(database: Database, moved: Sequence[LockedBatch]) -> None:
    asked = [(batch.row.id,) for batch in moved if batch.open and batch.row.cursor == batch.row.total]
    due = dict(await database.each("next_deferred", asked))
    for batch in moved:
        batch.set_next(due.get(batch.row.id))


def event(
    row: OfBatch, now: int, kind: str, actor: str | None = None, data: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    """A row of `event_new`: `kind` happened to the batch of `row`."""
    return (row.workspace, row.id, now, kind, actor, text(data or {}))
