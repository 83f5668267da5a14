"""Looking: facts and counts of a batch, items with what became of them, pages in the list's order.

An item's state is derived: its row in `live` if there is one (a deferred one of a stopped batch reads as canceled),
else its last run, else waiting, or canceled if the batch is stopped.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never, cast

from covey.domain.batch import Batch, BatchState, Counts, Event, StopReason
from covey.domain.errors import NotFound
from covey.domain.item import Item, ItemState, PastRun
from covey.domain.run import RunState
from covey.store.operations.rows import BatchRow, ItemRow, PastRunRow
from covey.store.operations.transaction import Database, key, load, micros, moment

UNENDED_STATES = frozenset(
    {BatchState.scheduled, BatchState.queued, BatchState.running, BatchState.paused, BatchState.stopping}
)


async def batch(database: Database, batch: str, workspace: str | None = None, *, bare: bool = False) -> Batch:
    """One batch. Raises NotFound, also for a batch of another workspace than `workspace`."""
    return await read_batch(database, batch, workspace, bare=bare)


async def read_batch(
    database: Database, id: str, workspace: str | None = None, now: datetime | None = None, *, bare: bool = False
) -> Batch:
    """One batch as it is at `now` (None: the database's time); see `batch`."""
    row = await _row(database, id, bare)
    if row is None or (workspace is not None and row.workspace != workspace):
        raise NotFound(f"there is no batch {id}")
    return _batch(row, now or await database.now())


async def _row(database: Database, id: str, bare: bool) -> BatchRow | None:
    return await database.row("batch_facts" if bare else "batch_read", {"batch": key(id)})


def _batch(row: BatchRow, now: datetime) -> Batch:
    return Batch(
        id=row.id.hex(),
        workspace=row.workspace,
        kind=row.kind,
        lane=row.lane,
        config=getattr(row, "config", b""),
        origin=row.origin,
        name=row.name,
        created_at=moment(row.created_at),
        start_at=moment(row.start_at),
        started_at=moment(row.started_at),
        paused_at=moment(row.paused_at),
        pause_reason=row.pause_reason,
        stopped_at=moment(row.stopped_at),
        stop_reason=None if row.stop_reason is None else StopReason(row.stop_reason),
        stop_message=row.stop_message,
        aborted_at=moment(row.aborted_at),
        completed_at=moment(row.completed_at),
        expires_at=moment(row.expires_at),
        deletes_at=moment(row.deletes_at),
        max_cost=row.max_cost,
        run_cost=row.run_cost,
        cap=row.cap,
        pace=row.pace,
        hours=row.hours,
        max_tries=row.max_tries,
        next_at=moment(row.next_at),
        notes=load(row.notes),
        counts=_counts(row),
        read_at=now,
    )


def _counts(row: BatchRow) -> Counts:
    return Counts(
        total=row.total,
        active=row.active,
        succeeded=row.succeeded,
        failed=row.failed,
        canceled=row.canceled,
        succeeded_seconds=row.succeeded_seconds,
        last_succeeded_at=moment(row.last_succeeded_at),
        last_ended_at=moment(row.last_ended_at),
        spent=row.spent,
    )


async def batches(
    database: Database,
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

    `before` is the id of the last batch already seen, and takes the place of `offset`. Batches of a page are bare:
    their `config` is `b""`. Unended ones are found in their own index, however many ended.
    """
    now = await database.now()
    asked = {
        "workspace": workspace,
        "kind": kind,
        "origin": origin,
        "now": micros(now),
        "states": None if states is None else database.array([state.value for state in states]),
    }
    unended = states is not None and set(states) <= UNENDED_STATES
    which = "open" if unended else "one" if workspace is not None and origin is not None else "all"
    page = {**asked, "before": None if before is None else key(before), "offset": 0 if before else offset}
    rows = await database.named(f"batches_page_{which}", {**page, "limit": limit})
    return [_batch(row, now) for row in rows], int(await database.value(f"batches_count_{which}", asked))


async def items(
    database: Database,
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
    row = await _row(database, batch, bare)
    if row is None:
        raise NotFound(f"there is no batch {batch}")
    found = _batch(row, await database.now())
    page = {"batch": key(batch), "after": -1 if after is None else after, "offset": 0 if after is not None else offset}
    seqs = await _page(database, found, row.cursor, state, {**page, "limit": limit})
    return found, await _items(database, found, seqs, bare=bare)


async def _page(
    database: Database, found: Batch, cursor: int, state: ItemState | None, page: dict[str, Any]
) -> list[int]:
    """The seqs of one page."""
    stopped = found.stopped_at is not None
    match state:
        case None:
            first = page["after"] + 1 + page["offset"]
            return list(range(first, min(first + page["limit"], found.counts.total)))
        case ItemState.active:
            return await _seqs(database, "seqs_active", page)
        case ItemState.succeeded | ItemState.failed:
            return await _seqs(database, "seqs_ended", {**page, "state": state.value})
        case ItemState.waiting:
            return [] if stopped else await _then_range(database, "seqs_deferred", page, cursor, found.counts.total)
        case ItemState.canceled:
            if not stopped:
                return await _seqs(database, "seqs_ended", {**page, "state": state.value})
            return await _then_range(database, "seqs_canceled", {**page, "cursor": cursor}, cursor, found.counts.total)
        case _:
            assert_never(state)


async def _seqs(database: Database, statement: str, page: dict[str, Any]) -> list[int]:
    return [int(row[0]) for row in await database.rows(statement, page)]


async def _then_range(database: Database, statement: str, page: dict[str, Any], cursor: int, total: int) -> list[int]:
    """Rows behind the cursor first, then the range from the cursor on, as one list."""
    seqs = await _seqs(database, statement, page)
    if len(seqs) == page["limit"]:
        return seqs
    first = max(cursor, page["after"] + 1)
    if not seqs and page["offset"]:
        first += max(0, page["offset"] - int(await database.value(f"{statement}_count", page)))
    return seqs + list(range(first, min(first + page["limit"] - len(seqs), total)))


async def _items(database: Database, found: Batch, seqs: Sequence[int], *, bare: bool = False) -> list[Item]:
    asked = {"batch": key(found.id), "seqs": database.array(seqs), "inputs": int(not bare)}
    return [_item(found.id, found.stopped_at is not None, row) for row in await database.named("items_read", asked)]


def _item(batch_id: str, stopped: bool, row: ItemRow) -> Item:
    deferred = row.live_state == 0
    last = _past(cast("PastRunRow", row)) if row.run_attempt is not None else None
    if row.live_state == 1:
        state = ItemState.active
    elif last is not None:
        state = ItemState(last.state.value)
    else:
        state = ItemState.canceled if stopped else ItemState.waiting
    return Item(
        batch=batch_id,
        seq=row.seq,
        state=state,
        custom_id=row.custom_id,
        ref=row.ref,
        input=row.input or b"",
        tries=row.live_tries if row.live_tries is not None else (row.run_tries or 0),
        due_at=moment(row.due_at) if deferred and not stopped else None,
        reason=row.reason if deferred and not stopped else None,
        started_at=moment(row.live_started_at),
        last=last,
        progress=None if row.done is None or row.whole is None else (row.done, row.whole),
    )


def _past(row: PastRunRow) -> PastRun:
    return PastRun(
        attempt=row.run_attempt,
        state=RunState(row.run_state),
        code=row.code,
        message=row.message,
        started_at=moment(row.run_started_at),
        ended_at=moment(row.ended_at),
        seconds=row.seconds,
        result=load(row.result),
    )


async def item(database: Database, batch: str, seq: int) -> Item:
    """One item with all its runs. Raises NotFound."""
    found = await read_batch(database, batch, bare=True)
    there = await _items(database, found, [seq])
    if not there:
        raise NotFound(f"batch {batch} has no item {seq}")
    earlier = tuple(_past(row) for row in await database.named("runs_earlier", {"batch": key(batch), "seq": seq}))
    one = there[0]
    return Item(**{name: getattr(one, name) for name in Item.__slots__ if name != "earlier"}, earlier=earlier)


async def recent(database: Database, batch: str, limit: int = 10) -> list[Item]:
    """The succeeded and failed items that ended last, newest first."""
    found = await read_batch(database, batch, bare=True)
    seqs = await _seqs(database, "seqs_recent", {"batch": key(batch), "limit": limit})
    place = {seq: n for n, seq in enumerate(seqs)}
    return sorted(await _items(database, found, seqs), key=lambda one: place[one.seq])


async def outcomes(database: Database, batch: str) -> dict[str, int]:
    """How many items ended with which code."""
    return dict(await database.rows("outcomes", {"batch": key(batch)}))


async def history(database: Database, batch: str) -> list[Event]:
    """What happened to the batch, oldest first."""
    return [
        Event(row.id, row.batch.hex(), moment(row.at), row.type, row.actor, load(row.data))
        for row in await database.named("history", {"batch": key(batch)})
    ]


async def by_ref(
    database: Database,
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
    page = {"offset": offset, "limit": limit, "inputs": int(not bare)}
    rows = await database.named("items_by_ref", {**_about(database, workspace, ref, kind, states), **page})
    return [_item(row.batch.hex(), row.stopped_at is not None, row) for row in rows]


async def count_by_ref(
    database: Database, workspace: str, ref: str, *, kind: str | None = None, states: Sequence[ItemState] | None = None
) -> int:
    """How many items `by_ref` would find without a limit."""
    return int(await database.value("items_by_ref_count", _about(database, workspace, ref, kind, states)))


def _about(
    database: Database, workspace: str, ref: str, kind: str | None, states: Sequence[ItemState] | None
) -> dict[str, Any]:
    wanted = None if states is None else database.array([state.value for state in states])
    return {"workspace": workspace, "ref": ref, "kind": kind, "states": wanted}


async def item_totals(database: Database, workspace: str, kind: str) -> dict[ItemState, int]:
    """How many items the workspace's batches of a kind have in every state, single ones too."""
    row = await database.row("item_totals", {"workspace": workspace, "kind": kind})
    return {state: int(getattr(row, state.value)) for state in ItemState}


async def recount(database: Database, batch: str) -> dict[str, tuple[int, int]]:
    """The counts that do not agree with the rows: name → (kept, counted). Empty is right. Slow."""
    row = await database.row("recount", {"batch": key(batch)})
    if row is None:
        return {}
    facts = vars(row)
    pairs = {name: (facts[f"kept_{name}"], counted) for name, counted in facts.items() if f"kept_{name}" in facts}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
