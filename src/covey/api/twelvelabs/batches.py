"""Batches: create, list, look, results, cancel, delete (`docs/contracts/twelvelabs.md` sections 2 to 7)."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated

from fastapi import Path, Response

from covey.analysis.config import KIND
from covey.api.kit.bodies import print_of
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.idempotency import idempotent
from covey.api.kit.openapi import file_answer, parameters, said
from covey.api.kit.streaming import streamed
from covey.api.kit.submission import made
from covey.api.twelvelabs import convert, lists, views
from covey.api.twelvelabs import schemas as out
from covey.api.twelvelabs.holding import holding
from covey.api.twelvelabs.requests import CreateBatch
from covey.api.twelvelabs.shapes import batch_router, nested
from covey.api.twelvelabs.submit import budget_of, check_assets, resolve, submit
from covey.domain.batch import Batch, StopReason
from covey.domain.errors import Conflict, NotFound
from covey.domain.ids import item_id, new_id
from covey.domain.item import Item
from covey.domain.webhook import ENDED_EVENTS, Delivery, DeliveryState

router = batch_router()

FIRST_PAGE, LONGEST_PAGE = 4, 32
"""Items that are read at once: at first, and where their answers are small. How large those of the next page are nobody
knows before, so the longest page is a short one; longer ones were hardly faster."""

PAGE_BYTES = 4 * 2**20
"""About so much memory the answers of one page may take, judged by the page before."""

COLLECTION = "batches"
JSON_LINES = "application/jsonl"

BatchId = Annotated[str, Path(description="A batch's id: 24 hex digits")]


async def find(ctx: Context, batch_id: str) -> Batch:
    """The workspace's batch of this id; NotFound as for one that never was, for batches of other kinds too."""
    ident = convert.identifier(batch_id)
    if ident is not None:
        try:
            batch = await ctx.services.store.batch(ident, ctx.workspace, bare=True)
        except NotFound:
            batch = None
        if batch is not None and batch.kind == KIND and batch.origin != views.SINGLE:
            return batch
    raise convert.nothing_of(batch_id, COLLECTION)


@router.post(
    "/analyze/batches",
    status_code=201,
    summary="Create a batch of analyses",
    operation_id="createAnalysisBatch",
    responses={**said(s201=out.BatchCreated), **nested(404, 408, 409, 413, 422)},
)
async def create(ctx: Ctx, body: CreateBatch) -> Response:
    """Takes up to a thousand videos and what is asked about them. All or nothing: a refused create leaves nothing
    behind. With the same Idempotency-Key it is done once."""
    meaning = await print_of(ctx)

    async def work(ident: str) -> Answer:
        asked = await resolve(ctx, body)
        longest = await check_assets(ctx, asked)
        money = await budget_of(ctx, asked, body.max_cost, longest)
        batch = await submit(ctx, asked, ident, max_cost=money.max_cost, run_cost=money.run_cost)
        tasks = [(item_id(batch.id, seq), custom) for seq, (_, custom) in enumerate(asked.items)]
        return Answer(views.created(batch, tasks), 201)

    ident = new_id(ctx.services.clock.now())
    return await idempotent(ctx, meaning, work, ident, lambda earlier: _recovered(ctx, earlier), keep_refusals=False)


async def _recovered(ctx: Context, ident: str) -> Answer | None:
    batch = await made(ctx, ident)
    if batch is None:
        return None
    tasks = [(item.id, item.custom_id) async for _, items in _pages(ctx, batch) for item in items]
    return Answer(views.created(batch, tasks), 201)


@router.get(
    "/analyze/batches",
    summary="List batches of analyses",
    operation_id="listAnalysisBatches",
    responses=said(s200=out.BatchPage),
    openapi_extra=parameters(
        page="1-based",
        page_limit="10 unless said, at most 50",
        status=f"{', '.join(lists.BATCH_WORDS)}; repeatable",
        analysis_mode=f"{', '.join(lists.MODES)}; repeatable",
    ),
)
async def list_batches(ctx: Ctx) -> Response:
    """The workspace's batches, newest first. A page past the end is empty."""
    number, size = convert.page_of(ctx)
    statuses = convert.chosen(ctx, "status", lists.BATCH_WORDS)
    modes = convert.chosen(ctx, "analysis_mode", lists.MODES)
    found, total = await lists.batches(ctx, statuses, modes, (number - 1) * size, size)
    urls = await _urls(ctx) if any(batch.ended for batch in found) else {}
    unended = any(not batch.ended for batch in found)
    lanes = {lane.name: lane for lane in await ctx.services.store.lanes()} if unended else {}
    answer: out.BatchPage = {
        "data": [
            views.batch_object(batch, await hooks_of(ctx, batch, urls), await holding(ctx.services, batch, lanes))
            for batch in found
        ],
        "page_info": views.page_info(number, size, total),
    }
    return Answer(answer)


async def _urls(ctx: Context) -> dict[str, str]:
    """The addresses of the workspace's endpoints, by their ids."""
    return {endpoint.id: endpoint.url for endpoint in await ctx.services.store.endpoints(ctx.workspace)}


async def hooks_of(ctx: Context, batch: Batch, urls: Mapping[str, str]) -> list[out.HookState]:
    """What became of telling the batch's end to the endpoints of these addresses."""
    if not batch.ended or not urls:
        return []
    told = await ctx.services.store.deliveries(ctx.workspace, batch=batch.id, limit=100)
    ended = [one for one in told if one.type in ENDED_EVENTS and one.attempts and not _skipped(one)]
    return views.hooks([(urls[one.endpoint], one) for one in ended if one.endpoint in urls])


def _skipped(delivery: Delivery) -> bool:
    """Whether a delivery ended without anybody being asked: the endpoint no longer wanted to hear of it."""
    return delivery.state is DeliveryState.delivered and delivery.status is None


@router.get(
    "/analyze/batches/{batch_id}",
    summary="Look at a batch of analyses",
    operation_id="retrieveAnalysisBatch",
    responses={**said(s200=out.BatchOut), **nested(404)},
)
async def retrieve(ctx: Ctx, batch_id: BatchId) -> Response:
    """A batch as it is now; its counters add up to `total_items`."""
    batch = await find(ctx, batch_id)
    urls = await _urls(ctx) if batch.ended else {}
    told, held = await hooks_of(ctx, batch, urls), await holding(ctx.services, batch)
    return Answer(views.batch_object(batch, told, held))


@router.get(
    "/analyze/batches/{batch_id}/results",
    summary="Read the results of a batch of analyses",
    operation_id="analysisBatchResults",
    responses={**file_answer(JSON_LINES), **nested(404)},
)
async def results(ctx: Ctx, batch_id: BatchId) -> Response:
    """One JSON line for every item, in the order of `requests`, as it is now: at any time, not only at the end. If the
    batch is deleted meanwhile the connection breaks."""
    batch = await find(ctx, batch_id)
    return await streamed(_lines(ctx, batch), JSON_LINES, {})


async def _lines(ctx: Context, batch: Batch) -> AsyncIterator[bytes]:
    async for now, items in _pages(ctx, batch):
        for item in items:
            yield views.result_line(now, item)


async def _pages(ctx: Context, batch: Batch) -> AsyncIterator[tuple[Batch, list[Item]]]:
    """All items, a page at a time. An answer may have megabytes: a page has as many items as PAGE_BYTES hold of the
    largest answer of the page before, and at most twice as many as that."""
    after, length = -1, FIRST_PAGE
    while True:
        now, items = await ctx.services.store.items(batch.id, after=after, limit=length, bare=True)
        if not items:
            return
        after = items[-1].seq
        fitting = PAGE_BYTES // max(map(_bytes_of, items))
        length = max(1, min(fitting, 2 * length, LONGEST_PAGE))
        yield now, items


def _bytes_of(item: Item) -> int:
    """About how much memory an item's answer takes."""
    return sys.getsizeof(item.last.result.get("data", "") if item.last is not None else "")


@router.post(
    "/analyze/batches/{batch_id}/cancel",
    status_code=202,
    summary="Cancel a batch of analyses",
    operation_id="cancelAnalysisBatch",
    responses={**said(s202=out.BatchOut), **nested(404, 408, 409, 413, 422)},
)
async def cancel(ctx: Ctx, batch_id: BatchId) -> Response:
    """Items that wait, or have not started yet, are canceled at once, those that are being processed finish. Answers
    the batch, `canceling` until nothing is processed any more. A second cancel meanwhile answers the same; after the
    end it is a 409."""
    batch = await find(ctx, batch_id)

    async def work(_: str) -> Answer:
        try:
            stopped = await ctx.services.orders.stop(ctx.workspace, batch.id, StopReason.cancel, actor=ctx.actor)
        except NotFound:
            raise convert.nothing_of(batch_id, COLLECTION) from None
        came_too_late = batch.ended or stopped.batch.stop_reason is not StopReason.cancel
        if stopped.batch.ended and not stopped.first and came_too_late:
            word = convert.batch_word(stopped.batch)
            raise Conflict(f"The batch is {word} already; nothing was left to cancel", code=f"batch_{word}")
        return Answer(views.batch_object(stopped.batch), 202)

    return await idempotent(ctx, {}, work, keep_refusals=False)


@router.post(
    "/analyze/batches/{batch_id}/pause",
    summary="Pause a batch of analyses",
    operation_id="pauseAnalysisBatch",
    responses={**said(s200=out.BatchOut), **nested(404, 408, 409, 413, 422)},
)
async def pause(ctx: Ctx, batch_id: BatchId) -> Response:
    """Covey's own: nothing more of it starts until it is resumed; what is being processed goes on. Once more it answers
    the same; a batch that has ended or was canceled is a 409."""
    batch = await find(ctx, batch_id)
    return await _turned(
        ctx, batch, "pause", lambda: ctx.services.orders.pause(ctx.workspace, batch.id, "paused", ctx.actor)
    )


@router.post(
    "/analyze/batches/{batch_id}/resume",
    summary="Resume a batch of analyses",
    operation_id="resumeAnalysisBatch",
    responses={**said(s200=out.BatchOut), **nested(404, 408, 409, 413, 422)},
)
async def resume(ctx: Ctx, batch_id: BatchId) -> Response:
    """Covey's own: goes on with a paused batch, as those of a restored database are. One that is not paused answers the
    same; a batch that has ended or was canceled is a 409."""
    batch = await find(ctx, batch_id)
    return await _turned(ctx, batch, "resume", lambda: ctx.services.store.resume(ctx.workspace, batch.id, ctx.actor))


async def _turned(ctx: Context, batch: Batch, doing: str, turn: Callable[[], Awaitable[Batch]]) -> Answer:
    """Pause or resume a batch, once for a key, and show it."""

    async def work(_: str) -> Answer:
        try:
            now = await turn()
        except NotFound:
            raise convert.nothing_of(batch.id, COLLECTION) from None
        except Conflict:
            word = convert.ended_word(await find(ctx, batch.id))
            raise Conflict(f"The batch is {word} already; nothing was left to {doing}", code=f"batch_{word}") from None
        ctx.services.wakeups.work(now.lane)
        return Answer(views.batch_object(now, holding=await holding(ctx.services, now)))

    return await idempotent(ctx, {}, work, keep_refusals=False)


@router.delete(
    "/analyze/batches/{batch_id}",
    status_code=204,
    summary="Delete a batch of analyses",
    operation_id="deleteAnalysisBatch",
    responses={**said(s204=None), **nested(404, 409)},
)
async def delete(ctx: Ctx, batch_id: BatchId) -> Response:
    """Removes an ended batch with its tasks and results. Its assets stay, and so does what was charged."""
    batch = await find(ctx, batch_id)
    try:
        await ctx.services.store.erase_batch(ctx.workspace, batch.id, ctx.actor)
    except NotFound:
        raise convert.nothing_of(batch_id, COLLECTION) from None
    except Conflict:
        word = convert.batch_word(batch)
        message = f"The batch is {word}; only one that is completed, canceled or expired can be deleted"
        raise Conflict(message, code="batch_not_terminal") from None
    return Response(status_code=204)
