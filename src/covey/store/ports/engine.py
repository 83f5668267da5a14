"""What the engine needs of a database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from covey.domain.batch import Batch, BatchState, Event, NewBatch, NewItem, Quota, StopReason
from covey.domain.item import Item, ItemState
from covey.domain.lane import Lane, LaneStatus
from covey.domain.run import Bite, Finished, Json, Progress


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim came to: a bite or nothing, and when asking again may bring more (None: not before a hint)."""

    bite: Bite | None
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class FinishReport:
    """What a finish wrote. `stale` are runs whose fence had fallen: they changed nothing. `ended` are the batches
    that came to their end with it, `paused` those that it paused."""

    written: int
    stale: tuple[tuple[str, int, int], ...] = ()
    ended: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """A stop's answer: the batch as it is now, and whether this call was the one that stopped it."""

    batch: Batch
    first: bool


@dataclass(frozen=True, slots=True)
class Dropped:
    """A run its worker is told to drop, and why: `aborted` or `expired`."""

    batch: str
    seq: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One worker's life as others see it.

    `alive`: it holds its lock. One that does not and is not given up (`dead_at` None) may come back. `beat_seconds` is
    the age of its last sign, `active` the number of runs in its hands. Host, pid and version are None where one process
    has the database to itself.
    """

    id: str
    alive: bool
    active: int
    started_at: datetime
    dead_at: datetime | None = None
    beat_seconds: float | None = None
    host: str | None = None
    pid: int | None = None
    version: str | None = None


class Drafts(Protocol):
    """Filling a batch: nobody sees or claims a draft until it is accepted."""

    async def draft(self, batch: NewBatch, owner: str) -> None:
        """Begin a draft; `owner` is the worker whose death lets it be swept."""
        ...

    async def append(self, batch: str, first_seq: int, items: Sequence[NewItem]) -> None:
        """Add items `first_seq …` to a draft, a few hundred at a time. Raises NotFound if it is none."""
        ...

    async def accept(self, batch: str, total: int, quota: Quota, actor: str | None = None) -> Batch:
        """Make the draft a batch, in one transaction.

        Raises Conflict: `duplicate_batch` (with `batchId`), `too_many_batches`, `too_many_items`.
        """
        ...

    async def discard(self, batch: str) -> None:
        """Remove a draft and its items; nothing happens if it is a batch already or unknown."""
        ...


class Claims(Protocol):
    """Handing items to workers."""

    async def claim(self, worker: str, lane: str, room: int) -> Claim:
        """Take at most `room` items of one batch of the lane, fairly chosen, within every limit.

        Raises Conflict `worker_gone` if the worker was given up.
        """
        ...

    async def time(self) -> datetime:
        """The store's clock, by the quickest question there is."""
        ...


class Finishes(Protocol):
    """Writing down what becomes of runs."""

    async def advance(self, worker: str, progress: Sequence[Progress]) -> None:
        """Write down how far runs are. One that is not in the worker's hands any more stays as it is."""
        ...

    async def finish(self, worker: str, finished: Sequence[Finished]) -> FinishReport:
        """Record runs by the outcome table, fenced by attempt and worker, in one transaction."""
        ...


class Control(Protocol):
    """What people do to a batch. All but `drop` raise NotFound for a batch that is not the workspace's."""

    async def stop(
        self,
        batch: str,
        reason: StopReason,
        *,
        abort: bool = False,
        message: str | None = None,
        actor: str | None = None,
    ) -> Stopped:
        """Stop a batch: what waits is canceled, what is active goes on, or with `abort` is dropped. A batch that has
        ended or was stopped before keeps its first reason (a later `abort` still counts)."""
        ...

    async def pause(self, batch: str, reason: str, actor: str | None = None) -> Batch:
        """Start nothing more of it until it is resumed. Raises Conflict `ended` after the end or a stop."""
        ...

    async def resume(self, batch: str, actor: str | None = None) -> Batch:
        """Go on with a paused batch. Raises Conflict `ended` after the end or a stop."""
        ...

    async def adjust(self, batch: str, changes: Json, actor: str | None = None) -> Batch:
        """Change `name`, `cap` or `pace` of a batch that has not ended."""
        ...

    async def drop(self, batch: str, seq: int, actor: str | None = None) -> bool:
        """Tell the worker of one active item to drop it; False if the item is not active."""
        ...

    async def erase_batch(self, batch: str, actor: str | None = None) -> None:
        """Hide an ended batch at once and let the sweeper remove its data. Raises Conflict `not_ended`."""
        ...


class Liveness(Protocol):
    """Which workers are alive, and what becomes of the runs of those that are not."""

    async def enlist(self, worker: str) -> None:
        """Begin a worker's life."""
        ...

    async def retire(self, worker: str) -> None:
        """End a worker's life whose runs are all finished."""
        ...

    async def dead_workers(self, me: str) -> list[str]:
        """Workers that are given up and still have something to settle, now declared dead if they were not."""
        ...

    async def settle(self, worker: str, hold: Mapping[str, timedelta]) -> int:
        """Settle some of a dead worker's runs by the outcome table; how many are left.

        Their slots stay taken for as long as `hold` says of their lane: a far side may still be busy with them.
        """
        ...

    async def in_hand(self, worker: str) -> list[tuple[str, int, int]]:
        """The runs (batch, seq, attempt) that the store believes in the worker's hands."""
        ...

    async def to_drop(self, worker: str) -> list[Dropped]:
        """The worker's active runs that it is to drop."""
        ...

    async def workers(self) -> list[WorkerInfo]:
        """Every worker that is known, the living first; the dead are forgotten after a while."""
        ...


class Lanes(Protocol):
    """The lanes' limits and breakers."""

    async def put_lane(self, lane: Lane) -> None:
        """Create a lane or change its limits."""
        ...

    async def lane(self, name: str) -> LaneStatus | None: ...

    async def lanes(self) -> list[LaneStatus]: ...

    async def open_lane(self, name: str, until: datetime, reason: str) -> None:
        """Open a lane's breaker: nothing starts on it until `until`, then one probe at a time."""
        ...

    async def close_lane(self, name: str) -> None:
        """Close a lane's breaker."""
        ...


class Reading(Protocol):
    """Looking. Each method reads one snapshot; batches that are drafts or erased are not there.

    A batch's config and an item's input may have megabytes. What is read `bare` has none: both are `b""` then.
    """

    async def batch(self, batch: str, workspace: str | None = None, *, bare: bool = False) -> Batch:
        """Raises NotFound, also for a batch of another workspace than the one given."""
        ...

    async def batches(
        self,
        workspace: str | None,
        *,
        kind: str | None = None,
        states: Sequence[BatchState] | None = None,
        origin: str | None = "batch",
        before: str | None = None,
        offset: int = 0,
        limit: int = 20,
    ) -> tuple[list[Batch], int]:
        """A page, newest first, and how many there are in all (`origin` None: single ones too).

        `before` is the id of the last batch already seen, and takes the place of `offset`. Batches of a page are
        bare: their `config` is `b""`.
        """
        ...

    async def find_fingerprint(self, workspace: str, fingerprint: str, lane: str, since: datetime) -> str | None:
        """The newest batch of this fingerprint on this lane that has not ended or was accepted after `since`."""
        ...

    async def refs_elsewhere(
        self, workspace: str, lane: str, refs: Sequence[str], since: datetime, seconds: float
    ) -> dict[str, str]:
        """Which of these refs are also in a batch on this lane that has not ended or was accepted after `since`, each
        with one such batch. Raises Unavailable when that takes longer than `seconds`."""
        ...

    async def items(
        self,
        batch: str,
        state: ItemState | None = None,
        *,
        offset: int = 0,
        after: int | None = None,
        limit: int = 20,
        bare: bool = False,
    ) -> tuple[Batch, list[Item]]:
        """Items in the list's order, and the batch as it is in the same snapshot (so counts fit). `after` is the seq
        of the last item already seen, and takes the place of `offset`."""
        ...

    async def item(self, batch: str, seq: int) -> Item:
        """One item with all its runs. Raises NotFound."""
        ...

    async def recent(self, batch: str, limit: int = 10) -> list[Item]:
        """The succeeded and failed items that ended last, newest first."""
        ...

    async def outcomes(self, batch: str) -> dict[str, int]:
        """How many items ended with which code."""
        ...

    async def history(self, batch: str) -> list[Event]:
        """What happened to the batch, oldest first."""
        ...

    async def by_ref(
        self,
        workspace: str,
        ref: str,
        limit: int = 1000,
        *,
        offset: int = 0,
        kind: str | None = None,
        states: Sequence[ItemState] | None = None,
        bare: bool = False,
    ) -> list[Item]:
        """The workspace's items about `ref`, newest batch first; `kind` is that of their batches."""
        ...

    async def count_by_ref(
        self, workspace: str, ref: str, *, kind: str | None = None, states: Sequence[ItemState] | None = None
    ) -> int:
        """How many items `by_ref` would find without a limit."""
        ...

    async def item_totals(self, workspace: str, kind: str) -> dict[ItemState, int]:
        """How many items the workspace's batches of a kind have in every state, single ones too."""
        ...

    async def recount(self, batch: str) -> dict[str, tuple[int, int]]:
        """The counts that do not agree with the rows: name → (kept, counted). Empty is right. Slow."""
        ...


class Upkeep(Protocol):
    """What the sweeper does, in pieces, again and again. Each returns how many rows or batches it dealt with."""

    async def expire(self, limit: int = 100) -> list[str]:
        """Stop the batches whose `expires_at` has passed; the batches."""
        ...

    async def stop_stranded(self, lanes: Sequence[str], due_before: datetime, limit: int = 100) -> list[str]:
        """Stop (`fail`) the batches that were due before a time and whose lane is none of these; the batches."""
        ...

    async def sweep_drafts(self, me: str) -> int:
        """Remove drafts whose owner is dead."""
        ...

    async def next_erased(self, after: str | None = None) -> str | None:
        """The batch that was erased first, or next after the batch `after`, of those whose rows are still there; None
        if there is none, or if `after` is gone."""
        ...

    async def sweep_erased(self, limit: int = 500, batch: str | None = None) -> list[str]:
        """Remove a piece of the rows of an erased batch (None: of whichever were erased first); the batches now gone
        entirely. Nothing knows of a batch's files any more when its rows are gone, so they have to go before. What
        still waits to be told of them stays."""
        ...

    async def sweep_leftovers(self, limit: int = 500) -> int:
        """Remove what stopped batches left deferred, slots held past their time, idempotency answers past 24 h."""
        ...

    async def retire_batches(self, limit: int = 100) -> int:
        """Erase the batches that have ended and whose time to be deleted has come."""
        ...
