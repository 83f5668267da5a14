"""What the clients were told, written down as they were told it: the promises to hold the database and the log to."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Stop:
    """An acknowledged stop: when (monotonic seconds), by which process, and what it said is active and canceled."""

    batch: str
    at: float
    by: str
    active: int
    canceled: int


@dataclass(slots=True)
class Ledger:
    """Batches are named by their ids without the wire's prefix."""

    accepted: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By Idempotency-Key: the batch and its rows."""
    unanswered: dict[str, bytes] = field(default_factory=dict)
    """By Idempotency-Key: lists whose start has not been answered yet."""
    stops: list[Stop] = field(default_factory=list)
    erasing: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    again: int = 0

    def stopped(self, batch: str, by: str, active: int, canceled: int) -> None:
        """A stop was acknowledged just now."""
        self.stops.append(Stop(batch, time.monotonic(), by, active, canceled))

    def count(self, what: str) -> None:
        """Something was asked and answered."""
        self.asked[what] = self.asked.get(what, 0) + 1

    @property
    def items(self) -> int:
        """How many items were accepted."""
        return sum(total for _, total in self.accepted.values())
