"""What a fail-over lost, and what is promised of it.

A database that falls back to an earlier moment has forgotten runs that the far side has seen. Whoever holds such a run
says so in time, and its batch is paused until a person has looked. A run that nobody holds any more (its end was lost
with its claim, or its worker died or stood still) is remembered by nobody, and its item may start again. So that is
counted, not refused.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from .broken import Broken

if TYPE_CHECKING:
    from .ledger import Ledger, Start

PAUSE_SECONDS = 5.0
"""So long after the database is back, and its holder well, the batch of a run that was lost is paused."""


class Losses:
    """The starts of which the database knows nothing any more."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger
        self.at = -1.0
        """When the database fell back."""
        self.lost = 0
        """Starts that it does not know any more."""
        self.paused: set[str] = set()
        """Batches that were paused because of it."""
        self.resumed = 0
        """Items that started again after that, as a person let them."""
        self.unremembered = 0
        """Items that started again though nobody held them any more."""
        self.early = 0
        """Items that started again before their batch was paused."""
        self._held: set[Start] = set()

    def fell_back(self, before: Mapping[tuple[str, int], tuple[int, str]]) -> None:
        """The database fell back; `before` is what was in whose hands until then."""
        self.at = self._ledger.now
        reached = self._reached()
        for item, starts in self._ledger.starts.items():
            for start in starts:
                if start.key[2] > reached.get(item, 0):
                    self.lose(start, held=before.get(item) == (start.key[2], start.worker))

    def lose(self, start: "Start", held: bool = True) -> None:
        """The database does not know this start; `held`: its worker still does."""
        start.lost = True
        self.lost += 1
        self._ledger.ended(start)
        if held and not self._ledger.batches[start.key[0]].facts.repeatable:
            self._held.add(start)
            self._ledger.at(self._ledger.began + PAUSE_SECONDS, self._look, start)

    def started_again(self, lost: "Iterable[Start]") -> None:
        """An item starts of which the database has forgotten starts that a far side may have seen."""
        lost = [start for start in lost if not start.harmless]
        if not lost:
            return
        if lost[0].key[0] in self.paused:
            self.resumed += 1
        elif any(start in self._held and self._ledger.workers[start.worker].alive() for start in lost):
            self.early += 1
        else:
            self.unremembered += 1

    def _reached(self) -> dict[tuple[str, int], int]:
        """The last attempt of each item that the database knows."""
        rows = self._ledger.execute(
            "SELECT batch, seq, max(attempt) FROM"
            " (SELECT batch, seq, attempt FROM live UNION ALL SELECT batch, seq, attempt FROM runs) GROUP BY batch, seq"
        )
        return {(batch.hex(), seq): attempt for batch, seq, attempt in rows}

    def _look(self, start: "Start") -> None:
        """By now the batch is paused, or there is nothing left to pause; unless its holder is gone or was not well."""
        batch, health = start.key[0], self._ledger.workers[start.worker]
        if health.trouble + PAUSE_SECONDS > self._ledger.now:
            self._ledger.at(health.trouble + PAUSE_SECONDS, self._look, start)
        elif health.alive() and not (
            health.evicted or self._has_it_again(start) or batch in self.paused or not self._is_open(batch)
        ):
            self._ledger.fail(Broken("a batch is paused whose run was lost", run=start.key, worker=start.worker))

    def _has_it_again(self, lost: "Start") -> bool:
        """Whether its own worker was handed the very same run once more: to all eyes but ours it is one."""
        ledger, item, mine = self._ledger, lost.key[:2], (lost.key[2], lost.worker)
        others = [one for one in ledger.starts[item] if one.key == lost.key and not one.lost]
        if not others:
            return ledger.hands.get(item) == mine or lost.key in ledger.recorded
        return any(one.worker == lost.worker for one in others)

    def _is_open(self, batch: str) -> bool:
        rows = self._ledger.execute(
            "SELECT hex(id) FROM batches WHERE accepted_at IS NOT NULL AND paused_at IS NULL AND stopped_at IS NULL"
            " AND completed_at IS NULL AND erased_at IS NULL"
        )
        return batch.upper() in {id_ for (id_,) in rows}
