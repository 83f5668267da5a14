"""An item as a reader sees it: its state is derived from where its rows are, never stored."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from covey.domain.ids import item_id
from covey.domain.run import Json, RunState


class ItemState(StrEnum):
    """Where an item is: not yet started (or to start again), in a worker's hands, or ended in one of three ways."""

    waiting = "waiting"
    active = "active"
    succeeded = "succeeded"
    failed = "failed"
    canceled = "canceled"


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run as it was written down. `message` is the sentence for people, `seconds` what averages count."""

    attempt: int
    state: RunState
    code: str
    message: str
    started_at: datetime | None
    ended_at: datetime
    seconds: float
    result: Json


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the list with all that became of it. `last` is the run that ended it; `earlier` are the runs that
    did not (filled only when one item is read). `progress` is what the active run said last: done, of how much; None if
    it has said nothing."""

    batch: str
    seq: int
    state: ItemState
    custom_id: str | None
    ref: str | None
    input: bytes
    tries: int
    due_at: datetime | None
    reason: str | None
    started_at: datetime | None
    last: PastRun | None
    progress: tuple[float, float] | None = None
    earlier: tuple[PastRun, ...] = ()

    @property
    def id(self) -> str:
        return item_id(self.batch, self.seq)
