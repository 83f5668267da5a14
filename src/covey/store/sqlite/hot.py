"""The hot row of a batch while an operation changes it, written back once.

Claim, finish and settle move the same counts; here is the one place that does it, and that sees a batch end.
"""

from collections.abc import Mapping
from typing import Any

from covey.domain.batch import StopReason, stopped_state
from covey.domain.lane import START_HORIZON
from covey.store.sqlite.database import Database, Row, span_micros, text

KEPT = (
    "cursor", "deferred", "active", "succeeded", "failed", "canceled", "succeeded_seconds", "last_succeeded_at",
    "last_ended_at", "next_start", "next_at", "streak", "streak_code",
)  # fmt: skip


class Hot:
    """A batch's facts (`row`) and counts, read under the lock, changed in memory, written by `save`."""

    def __init__(self, database: Database, row: Row, now: int) -> None:
        self.row = row
        self._database = database
        self._now = now
        self._codes: dict[str, int] = {}
        self.served_at: int | None = None

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
    def slots(self) -> int | None:
        """How many more may be active by the batch's own cap; None without one."""
        return None if self.row.cap is None else max(0, self.row.cap - self.row.active)

    def count_code(self, code: str, n: int = 1) -> None:
        """`n` more items ended with `code`."""
        self._codes[code] = self._codes.get(code, 0) + n

    def event(self, kind: str, actor: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Write down that something happened to the batch."""
        add_event(self._database, self.row, self._now, kind, actor, data)

    def find_next(self) -> None:
        """Set when the batch may next start something: at once while the cursor has items, else when one is due,
        in neither case before its own pace allows it."""
        row = self.row
        if not self.open or row.paused_at is not None or self.slots == 0:
            row.next_at = None
            return
        due = row.start_at or 0
        if row.cursor == row.total:
            due = self._database.value("next_deferred", {"batch": row.id})
        if due is not None and row.pace and row.next_start:
            due = max(due, row.next_start - span_micros(START_HORIZON))
        row.next_at = due

    def save(self) -> bool:
        """Write the counts back; True if the batch came to its end with it."""
        row = self.row
        ended = row.completed_at is None and row.active == 0 and self.waiting == 0
        if ended:
            row.next_at = None
        values = {name: getattr(row, name) for name in KEPT}
        self._database.run("counts_move", {**values, "served_at": self.served_at, "batch": row.id})
        for code, n in self._codes.items():
            self._database.run("outcome_add" if n > 0 else "outcome_take", {"batch": row.id, "code": code, "n": n})
        if ended:
            self._database.run("batch_complete", {"batch": row.id, "now": self._now})
            state = "completed" if row.stop_reason is None else stopped_state(StopReason(row.stop_reason)).value
            self.event(state)
        return ended


def hot(database: Database, batch: bytes, now: int) -> Hot | None:
    """The hot row of a batch; None if it is no batch (a draft, or gone)."""
    row = database.row("batch_hot", {"batch": batch})
    return None if row is None else Hot(database, row, now)


def add_event(
    database: Database,
    row: Row,
    now: int,
    kind: str,
    actor: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Write down that `kind` happened to the batch of `row` (which has an id and a workspace)."""
    database.run(
        "event_new",
        {
            "workspace": row.workspace,
            "batch": row.id,
            "at": now,
            "type": kind,
            "actor": actor,
            "data": text(data or {}),
        },
    )
