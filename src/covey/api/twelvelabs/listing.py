"""Pages of batches and of tasks, filtered, with totals that are right.

The database filters by its own states. Where this API's words say less or more than those (a mode, `processing`, which
a stopping batch may read as or not), the batches are gone through one by one, newest first. Such a page costs a look
at every batch of the workspace in those states, 200 at a time: what retention keeps bounds it, thirty days' worth
unless it is set otherwise. Nothing is held but the page.
"""

from collections.abc import AsyncIterator, Sequence
from typing import assert_never

from covey.analysis.config import KIND, AnalysisConfig
from covey.api.context import Context
from covey.api.twelvelabs import words
from covey.domain.batch import Batch, BatchState
from covey.domain.errors import NotFound
from covey.domain.item import Item, ItemState

PIECE = 200
MOST_OF_ONE_VIDEO = 100_000

MODES = ("general", "time_based_metadata")
BATCH_WORDS = tuple(words.STATES_OF)
TASK_WORDS = ("queued", "pending", "processing", "ready", "failed", "canceled")

_AMBIGUOUS = frozenset({BatchState.paused, BatchState.stopping})


async def batches(
    ctx: Context, statuses: frozenset[str], modes: frozenset[str], offset: int, limit: int
) -> tuple[list[Batch], int]:
    """A page of the workspace's batches in any of these statuses and modes, newest first, and how many there are."""
    store = ctx.services.store
    states: Sequence[BatchState] | None = None
    if statuses != set(BATCH_WORDS):
        states = list({state for word in statuses for state in words.STATES_OF[word]})
    if len(modes) == len(MODES) and not _AMBIGUOUS & set(states or ()):
        return await store.batches(ctx.workspace, kind=KIND, states=states, offset=offset, limit=limit)
    found, total = list[Batch](), 0
    async for batch in _through(ctx, states, "batch"):
        if words.batch_word(batch) in statuses and mode_of(batch) in modes:
            if offset <= total < offset + limit:
                found.append(batch)
            total += 1
    return found, total


async def _through(ctx: Context, states: Sequence[BatchState] | None, origin: str | None) -> AsyncIterator[Batch]:
    before: str | None = None
    while True:
        page, _ = await ctx.services.store.batches(
            ctx.workspace, kind=KIND, states=states, origin=origin, before=before, limit=PIECE
        )
        for batch in page:
            yield batch
        if len(page) < PIECE:
            return
        before = page[-1].id


def mode_of(batch: Batch) -> str:
    """The mode of a batch's items."""
    return AnalysisConfig.load(batch.config).mode.value


async def tasks(
    ctx: Context, statuses: frozenset[str], modes: frozenset[str], refs: Sequence[str], offset: int, limit: int
) -> tuple[list[tuple[Batch, Item]], int]:
    """A page of the workspace's tasks, those of batches too, newest batch first and in the order of its requests, and
    how many there are. `refs` are what they are to be about: no more than one thing, so two match nothing."""
    if refs:
        return await _about(ctx, statuses, modes, refs, offset, limit)
    found, total = list[tuple[Batch, Item]](), 0
    asked: list[ItemState | None] = [state for word, state in words.ITEM_STATES.items() if word in statuses]
    if len(asked) == len(words.ITEM_STATES):
        asked = [None]
    async for batch in _through(ctx, None, None):
        for state in asked if mode_of(batch) in modes else ():
            there, first = _count(batch, state), max(0, offset - total)
            if first < there and len(found) < limit:
                found += await _items(ctx, batch, state, first, limit - len(found))
            total += there
    return found, total


def _count(batch: Batch, state: ItemState | None) -> int:
    counts = batch.counts
    match state:
        case None:
            return counts.total
        case ItemState.waiting:
            return counts.waiting
        case ItemState.active:
            return counts.active
        case ItemState.succeeded:
            return counts.succeeded
        case ItemState.failed:
            return counts.failed
        case ItemState.canceled:
            return counts.canceled
        case _:
            assert_never(state)


async def _items(
    ctx: Context, batch: Batch, state: ItemState | None, offset: int, limit: int
) -> list[tuple[Batch, Item]]:
    try:
        found, items = await ctx.services.store.items(batch.id, state, offset=offset, limit=limit)
    except NotFound:
        return []
    return [(found, item) for item in items]


async def _about(
    ctx: Context, statuses: frozenset[str], modes: frozenset[str], refs: Sequence[str], offset: int, limit: int
) -> tuple[list[tuple[Batch, Item]], int]:
    if len(set(refs)) > 1:
        return [], 0
    known = dict[str, Batch | None]()
    matching = list[tuple[Batch, Item]]()
    for item in await ctx.services.store.by_ref(ctx.workspace, refs[0], MOST_OF_ONE_VIDEO):
        if words.TASK_WORDS[item.state] not in statuses:
            continue
        if item.batch not in known:
            known[item.batch] = await _analysis(ctx, item.batch)
        batch = known[item.batch]
        if batch is not None and mode_of(batch) in modes:
            matching.append((batch, item))
    return matching[offset : offset + limit], len(matching)


async def _analysis(ctx: Context, ident: str) -> Batch | None:
    try:
        batch = await ctx.services.store.batch(ident, ctx.workspace)
    except NotFound:
        return None
    return batch if batch.kind == KIND else None
