"""Filling a batch: a draft, its items in pieces, and the one transaction that makes it a batch."""

from collections.abc import Sequence
from dataclasses import asdict

from covey.domain.batch import Batch, NewBatch, NewItem, Quota
from covey.domain.errors import Conflict, NotFound
from covey.domain.usage import Prices
from covey.store.operations import reading
from covey.store.operations.control import work
from covey.store.operations.counts import event
from covey.store.operations.outbox import record_scheduled
from covey.store.operations.rows import DraftRow
from covey.store.operations.transaction import Database, key, micros, span_micros, text

FREE = Prices()


async def draft(database: Database, batch: NewBatch, owner: str) -> None:
    """Begin a draft; `owner` is the worker whose death lets it be swept."""
    await database.write(
        "draft_new",
        {
            "id": bytes.fromhex(batch.id),
            "workspace": batch.workspace,
            "kind": batch.kind,
            "lane": batch.lane,
            "origin": batch.origin,
            "name": batch.name,
            "config": batch.config,
            "notes": text(batch.notes),
            "cap": batch.cap,
            "pace": batch.pace,
            "owner": owner,
            "fingerprint": batch.fingerprint,
            "max_tries": batch.max_tries,
            "repeatable": int(batch.repeatable),
            "exclusive": int(batch.exclusive),
            "self_pausing": int(batch.self_pausing),
            "hours": batch.hours,
            "created_at": micros(batch.created_at),
            "start_at": micros(batch.start_at),
            "expires_at": micros(batch.expires_at),
            "prices": None if batch.prices == FREE else text(asdict(batch.prices)),
            "max_cost": batch.max_cost,
            "run_cost": batch.run_cost,
            "keep_for": None if batch.keep is None else span_micros(batch.keep),
            "deletes_at": micros(batch.deletes_at),
        },
    )


async def append(database: Database, batch: str, first_seq: int, items: Sequence[NewItem]) -> None:
    """Add items `first_seq …` to a draft, a few hundred at a time. Raises NotFound if it is none."""
    row = await _draft(database, batch)
    rows = [(row.id, first_seq + n, i.custom_id, i.ref, i.zone, i.input) for n, i in enumerate(items)]
    await database.append("items_new", rows)


async def _draft(database: Database, batch: str) -> DraftRow:
    """A draft, locked."""
    await database.lock("lock_draft", {"batch": key(batch)})
    row: DraftRow | None = await database.row("draft_row", {"batch": key(batch)})
    if row is None:
        raise NotFound(f"there is no draft {batch}")
    return row


async def accept(database: Database, batch: str, total: int, quota: Quota, actor: str | None = None) -> Batch:
    """Make the draft a batch, in one transaction. Nobody else accepts in the same workspace meanwhile.

    Raises Conflict: `duplicate_batch` (with `batchId`), `too_many_batches`, `too_many_items`.
    """
    row = await _draft(database, batch)
    await database.lock("lock_workspace", {"workspace": row.workspace})
    now = await database.now()
    await _check_duplicate(database, row, micros(now - quota.duplicate_window), quota)
    await _check_quota(database, row, total, quota)
    await database.write("draft_accept", {"batch": row.id, "now": micros(now), "actor": actor})
    await database.write("counts_new", {"batch": row.id, "total": total, "next_at": row.start_at or 0})
    await database.write("share_new", {"lane": row.lane, "workspace": row.workspace})
    await database.many("event_new", [event(row, micros(now), "created", actor, {"total": total})])
    await record_scheduled(database, row.id, micros(now), row.start_at)
    await database.tell(work(row.lane))
    return await reading.batch(database, batch)


async def _check_duplicate(database: Database, row: DraftRow, since: int, quota: Quota) -> None:
    if row.fingerprint is None or quota.allow_duplicate:
        return
    same = {"workspace": row.workspace, "fingerprint": row.fingerprint, "lane": row.lane, "since": since}
    earlier = await database.value("find_fingerprint", same)
    if earlier is not None:
        raise Conflict(
            "the same list for the same agent on the same lane was accepted a short while ago or has not ended yet; "
            "say allowDuplicate=true if it is meant twice",
            code="duplicate_batch",
            batch=earlier.hex(),
        )


async def _check_quota(database: Database, row: DraftRow, total: int, quota: Quota) -> None:
    there = await database.row("open_in_workspace", {"workspace": row.workspace, "kind": row.kind})
    assert there is not None
    if row.origin == "batch" and there.batches >= quota.unended_batches:
        raise Conflict(
            f"the workspace has {there.batches} batches of this kind that have not ended, as many as it may have",
            code="too_many_batches",
        )
    if there.waiting + total > quota.waiting_items:
        raise Conflict(
            f"{there.waiting} items wait already and {total} more would be over the workspace's {quota.waiting_items}",
            code="too_many_items",
        )


async def discard(database: Database, batch: str) -> None:
    """Remove a draft and its items; nothing happens if it is a batch already or unknown."""
    await database.lock("lock_draft", {"batch": key(batch)})
    row = await database.row("draft_row", {"batch": key(batch)})
    if row is not None:
        await database.write("batch_erase", {"batch": row.id, "now": micros(await database.now())})
