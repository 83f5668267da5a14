"""Pages of batches and of tasks, filtered, with totals that are right.

The database filters by its own states. Where this API's words say less or more than those (a mode, `processing`, which
a stopping batch may read as or not), the batches are gone through one by one, newest first. Such a page costs a look
at every batch of the workspace in those states, 200 at a time: what retention keeps bounds it, thirty days' worth
unless it is set otherwise. Nothing is held but the page.
"""

from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import assert_never

from covey.analysis.config import KIND, AnalysisConfig
from covey.api.kit.context import Context
from covey.api.twelvelabs import convert, views
from covey.api.twelvelabs import schemas as out
from covey.domain.batch import Batch, BatchState
from covey.domain.errors import NotFound
from covey.domain.item import Item, ItemState

PIECE = 500

MODES = ("general", "time_based_metadata")
BATCH_WORDS = tuple(convert.STATES_OF)
TASK_WORDS = ("queued", "pending", "processing", "ready", "failed", "canceled")

_AMBIGUOUS = frozenset({BatchState.paused, BatchState.stopping})


async def batches(
    ctx: Context, statuses: frozenset[str], modes: frozenset[str], offset: int, limit: int
) -> tuple[list[Batch], int]:
    """A page of the workspace's batches in any of these statuses and modes, newest first, and how many there are."""
    store = ctx.services.store
    states: Sequence[BatchState] | None = None
    if statuses != set(BATCH_WORDS):
        states = list({state for word in statuses for state in convert.STATES_OF[word]})
    if len(modes) == len(MODES) and not _AMBIGUOUS & set(states or ()):
        return await store.batches(ctx.workspace, kind=KIND, states=states, offset=offset, limit=limit)
    found, total = list[Batch](), 0
    async for batch in _through(ctx, states, "batch"):
        if convert.batch_word(batch) in statuses and mode_of(batch) in modes:
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
    return str(batch.notes[views.MODE])


async def tasks(
    ctx: Context, statuses: frozenset[str], modes: frozenset[str], refs: Sequence[str], offset: int, limit: int
) -> tuple[list[out.TaskOut], int]:
    """A page of the workspace's tasks, those of batches too, newest batch first and in the order of its requests, and
    how many there are. `refs` are what they are to be about: no more than one thing, so two match nothing."""
    asked = [state for word, state in convert.ITEM_STATES.items() if word in statuses]
    if len(set(refs)) > 1 or not asked:
        return [], 0
    if refs:
        return await _about(ctx, asked, modes, refs[0], offset, limit)
    every_mode = len(modes) == len(MODES)
    known = await ctx.services.store.item_totals(ctx.workspace, KIND) if every_mode else {}
    found, total = list[out.TaskOut](), 0
    states: list[ItemState | None] = [None] if len(asked) == len(convert.ITEM_STATES) else [*asked]
    async for batch in _through(ctx, None, None):
        for state in states if mode_of(batch) in modes else ():
            there, first = _count(batch, state), max(0, offset - total)
            if first < there and len(found) < limit:
                found += await _items(ctx, batch, state, first, limit - len(found))
            total += there
        if every_mode and total >= offset + limit:
            break
    return found, sum(known[state] for state in asked) if every_mode else total


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


async def _items(ctx: Context, batch: Batch, state: ItemState | None, offset: int, limit: int) -> list[out.TaskOut]:
    try:
        found, items = await ctx.services.store.items(batch.id, state, offset=offset, limit=limit)
    except NotFound:
        return []
    return await ctx.services.heavy.run(_shown, found, items)


def _shown(batch: Batch, items: Sequence[Item]) -> list[out.TaskOut]:
    config = AnalysisConfig.load(batch.config)
    return [views.task_object(batch, item, listed=True, config=config) for item in items]


async def _about(
    ctx: Context, states: Sequence[ItemState], modes: frozenset[str], ref: str, offset: int, limit: int
) -> tuple[list[out.TaskOut], int]:
    if len(modes) < len(MODES):
        places = [place async for place in _places(ctx, states, modes, ref)]
        page, total = places[offset : offset + limit], len(places)
    else:
        store = ctx.services.store
        items = await store.by_ref(ctx.workspace, ref, limit, offset=offset, kind=KIND, states=states, bare=True)
        page = [(item.batch, item.seq) for item in items]
        total = await store.count_by_ref(ctx.workspace, ref, kind=KIND, states=states)
    found = list[out.TaskOut]()
    for ident, places_of_one in groupby(page, lambda place: place[0]):
        found += await _placed(ctx, ident, [seq for _, seq in places_of_one])
    return found, total


async def _places(
    ctx: Context, states: Sequence[ItemState], modes: frozenset[str], ref: str
) -> AsyncIterator[tuple[str, int]]:
    """Where the items about `ref` are whose batch has one of these modes."""
    store, offset, known = ctx.services.store, 0, dict[str, bool]()
    while True:
        items = await store.by_ref(ctx.workspace, ref, PIECE, offset=offset, kind=KIND, states=states, bare=True)
        for item in items:
            if item.batch not in known:
                known[item.batch] = await _is_of(ctx, item.batch, modes)
            if known[item.batch]:
                yield item.batch, item.seq
        offset += len(items)
        if len(items) < PIECE:
            return


async def _is_of(ctx: Context, ident: str, modes: frozenset[str]) -> bool:
    try:
        return mode_of(await ctx.services.store.batch(ident, ctx.workspace, bare=True)) in modes
    except NotFound:
        return False


async def _placed(ctx: Context, ident: str, seqs: Sequence[int]) -> list[out.TaskOut]:
    store = ctx.services.store
    try:
        batch = await store.batch(ident, ctx.workspace)
        items = [await store.item(ident, seq) for seq in seqs]
        return await ctx.services.heavy.run(_shown, batch, items)
    except NotFound:
        return []
