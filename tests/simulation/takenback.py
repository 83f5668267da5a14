"""What orders that take runs back promise, judged from outside: when one was answered, by whom, and what started after.

Where an order to stop or pause a batch, or to drop an item, was answered, nothing starts any more that it took back;
elsewhere nothing later than 100 ms, as long as a process is well and hears hints. What a stop counted canceled stays
so.
"""

from collections import defaultdict
from typing import TYPE_CHECKING

from .broken import Broken

if TYPE_CHECKING:
    from .ledger import Ledger, Start

ELSEWHERE_SECONDS = 0.1
"""A figure of the promises, written down a second time."""


class TakenBack:
    """The orders that hold."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger
        self._answers: dict[str, dict[str, float]] = defaultdict(dict)
        """By batch: which process answered that it starts no more, and when."""
        self._dropped: dict[tuple[str, int], int] = {}
        """Items that were dropped, in which attempt."""
        self._drops_answered: set[tuple[str, int, str]] = set()
        self._canceled: dict[str, int] = {}

    def fell_back(self, open_batches: set[str]) -> None:
        """The database has forgotten orders: those of these batches, and any about an item."""
        for batch in open_batches:
            self._answers.pop(batch, None)
        self._dropped.clear()
        self._drops_answered.clear()
        self._canceled.clear()

    def resumed(self, batch: str) -> None:
        """A batch that is not stopped may start again."""
        self._answers.pop(batch, None)

    def dropped(self, batch: str, seq: int, was_active: bool) -> None:
        """An item was dropped, if it was active: whatever its run comes to, it starts no more."""
        if was_active:
            self._dropped[batch, seq] = self._ledger.hands[batch, seq][0]

    def order_answered(self, worker: str, batch: str, seq: int | None) -> None:
        """A process answered an order about a batch, or about one of its items."""
        known = self._ledger.batches[batch]
        if seq is not None:
            self._drops_answered.add((batch, seq, worker))
        elif known.paused or known.stopped_at is not None:
            self._answers[batch].setdefault(worker, self._ledger.now)

    def counted(self, batch: str, canceled: int) -> None:
        """What the database says of a stopped batch."""
        before = self._canceled.get(batch, 0)
        if canceled < before:
            raise Broken("what was counted canceled stays so", batch=batch, before=before, now=canceled)
        self._canceled[batch] = canceled

    def judge(self, start: "Start") -> None:
        """A run is about to start."""
        (batch, seq, attempt), worker = start.key, start.worker
        if self._dropped.get((batch, seq), attempt) != attempt or (batch, seq, worker) in self._drops_answered:
            raise Broken("nothing that was dropped starts", run=start.key)
        for by, at in self._answers.get(batch, {}).items():
            late = self._ledger.now - at
            if by == worker or (late > ELSEWHERE_SECONDS and self._hears(worker, at)):
                raise Broken("nothing starts that an answered order took back", run=start.key, late=late, by=by)

    def _hears(self, worker: str, since: float) -> bool:
        """Whether nothing has kept a process from hearing a hint since then."""
        trouble = max(self._ledger.workers[worker].trouble, self._ledger.began)
        return trouble < since and self._ledger.locks.taken_at.get(worker, since) < since
