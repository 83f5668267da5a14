"""What decided runs come to: counts moved in memory, rows collected, all written together."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from covey.domain.lane import OWN_CODES, PATIENCE_CODES
from covey.domain.run import Decision, Defer, End, ItemBudget, RunState
from covey.store.operations.counts import LockedBatch
from covey.store.operations.rows import LockedRow
from covey.store.operations.transaction import Database, dump, micros
from covey.store.operations.usage import cost_of

UNUSED = (0.0, 0.0, 0, 0, 0)
"""The seconds, tokens and cost of a run that did not succeed."""


class BudgetUsed(NamedTuple):
    """The budgets that an item has spent, since when its lane must have worked for others if one more return is to
    count (microseconds), and whether somebody dropped it (1)."""

    tries: int
    returns: int
    losses: int
    since: int
    dropped: int = 0


def standing(row: LockedRow, spent: BudgetUsed, lane_works: bool) -> ItemBudget:
    """What the outcome table must know of an item of the batch `row`."""
    return ItemBudget(
        stopped=row.stopped_at is not None,
        aborted=row.aborted_at is not None or bool(spent.dropped),
        repeatable=bool(row.repeatable),
        tries=spent.tries,
        max_tries=row.max_tries,
        returns=spent.returns,
        losses=spent.losses,
        lane_works=lane_works,
    )


class Ended(NamedTuple):
    """A run that came to its end: who had it when (microseconds), and the tries spent before it."""

    seq: int
    attempt: int
    tries: int
    worker: str
    started_at: int | None
    ended_at: int


@dataclass(slots=True)
class RunRecorder:
    """The rows that outcomes come to, of all the batches of one operation."""

    ended: list[tuple[bytes, int]] = field(default_factory=list)
    deferred: list[tuple[Any, ...]] = field(default_factory=list)
    runs: list[tuple[Any, ...]] = field(default_factory=list)
    refs: list[tuple[bytes, int]] = field(default_factory=list)
    slots: Counter[str] = field(default_factory=Counter)
    shares: Counter[tuple[str, str]] = field(default_factory=Counter)

    def record(self, batch: LockedBatch, run: Ended, decision: Decision) -> None:
        """Move the counts of `batch` for one decided run, and put down the rows it comes to."""
        row, (seq, attempt, tries, worker, started, ended) = batch.row, run
        row.active -= 1
        match decision:
            case End(state, code, message, result, seconds, tried, tokens_in, tokens_out, charged):
                self.ended.append((row.id, seq))
                used = (seconds, charged, tokens_in, tokens_out, count_end(batch, decision, ended))
                values = (state.value, code, clean(message), worker, tries + tried, started, ended, *used)
                self.runs.append((row.id, seq, attempt, 1, *values, dump(result)))
                batch.item_ended(seq, attempt, decision)
            case Defer(at, reason, state, tries, returns, losses, message, result):
                due = batch.now if at is None else micros(at)
                row.deferred += 1
                returned_at = batch.now if state is RunState.returned else None
                self.deferred.append((tries, returns, losses, due, reason, returned_at, row.id, seq))
                if state is not None:
                    values = (state.value, reason, clean(message), worker, tries, started, ended, *UNUSED)
                    self.runs.append((row.id, seq, attempt, 0, *values, dump(result)))

    def free(self, batch: LockedBatch, seq: int) -> None:
        """The run's slot, and its ref, are free again."""
        row = batch.row
        self.slots[row.lane] += 1
        self.shares[row.lane, row.workspace] += 1
        if row.exclusive:
            self.refs.append((row.id, seq))

    async def write(self, database: Database) -> None:
        """Write the rows; the batches' own are saved by `counts.save`."""
        await database.many("free_refs_of", self.refs)
        await database.many("live_end", self.ended)
        await database.many("live_defer", self.deferred)
        await database.many("run_new", self.runs)
        await free_slots(database, self.slots, self.shares)


async def free_slots(database: Database, slots: Counter[str], shares: Counter[tuple[str, str]]) -> None:
    """Give slots back to lanes and to shares of lanes, in the order that everybody keeps."""
    await database.many("limit_free", [(n, lane) for lane, n in sorted(slots.items())])
    await database.many("share_free", [(n, lane, workspace) for (lane, workspace), n in sorted(shares.items())])


def count_end(batch: LockedBatch, end: End, at: int) -> int:
    """One more item of `batch` came to its end, and is active no more; what it costs."""
    row, cost = batch.row, 0
    setattr(row, end.state.value, getattr(row, end.state.value) + 1)
    row.last_ended_at = max(row.last_ended_at or 0, at)
    batch.codes[end.code] += 1
    if end.state is RunState.succeeded:
        row.succeeded_seconds += end.seconds
        row.last_succeeded_at = max(row.last_succeeded_at or 0, at)
        if row.prices is not None:
            cost = cost_of(row, end)
            row.spent += cost
        batch.used.add(end, cost)
    alike = end.state is RunState.failed and end.code not in PATIENCE_CODES | OWN_CODES
    row.streak = (row.streak + 1 if end.code == row.streak_code else 1) if alike else 0
    row.streak_code = end.code if alike else None
    return cost


def clean(message: str) -> str:
    """Text from outside as every database takes it: PostgreSQL knows no NUL in text."""
    return message.replace("\0", "")
