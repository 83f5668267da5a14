"""Tasks: items of batches, and single analyses (`docs/contracts/twelvelabs.md` 9.2, 13.12)."""

from contextlib import suppress
from datetime import timedelta
from typing import Annotated

from fastapi import Path, Response

from covey.analysis.config import ItemInput
from covey.api.kit.bodies import print_of
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.idempotency import idempotent
from covey.api.kit.openapi import parameters, said
from covey.api.kit.submission import made
from covey.api.twelvelabs import convert, lists, single, views
from covey.api.twelvelabs import schemas as out
from covey.api.twelvelabs.requests import CreateTask
from covey.api.twelvelabs.shapes import family, flat
from covey.domain.batch import Batch
from covey.domain.errors import Conflict, NotFound
from covey.domain.ids import item_id, new_id
from covey.domain.item import Item, ItemState

router = family("Analysis tasks")

DROPPING = timedelta(seconds=5)
"""For so long a cancel waits until what was being processed has ended."""

TaskId = Annotated[str, Path(description="A task's id: 24 hex digits")]


@router.post(
    "/analyze/tasks",
    status_code=202,
    summary="Create an analysis task",
    operation_id="createAnalysisTask",
    responses={**said(s202=out.TaskCreated), **flat(404, 408, 409, 413, 422)},
)
async def create(ctx: Ctx, body: CreateTask) -> Response:
    """Takes one video and what is asked about it. With the same Idempotency-Key it is done once."""
    meaning = await print_of(ctx)

    async def work(ident: str) -> Answer:
        return _created(await single.make(ctx, body, ident))

    async def recover(ident: str) -> Answer | None:
        batch = await made(ctx, ident)
        return None if batch is None else _created(batch)

    return await idempotent(ctx, meaning, work, new_id(ctx.services.clock.now()), recover, keep_refusals=False)


def _created(batch: Batch) -> Answer:
    answer: out.TaskCreated = {"task_id": item_id(batch.id, 0), "status": "queued"}
    return Answer(answer, 202)


@router.get(
    "/analyze/tasks",
    summary="List analysis tasks",
    operation_id="listAnalysisTasks",
    responses=said(s200=out.TaskPage),
    openapi_extra=parameters(
        page="1-based",
        page_limit="10 unless said, at most 50",
        status=f"{', '.join(lists.TASK_WORDS)}; repeatable",
        analysis_mode=f"{', '.join(lists.MODES)}; repeatable",
        asset_id="Only those about this asset",
        video_url="Only those about the video of this address",
    ),
)
async def list_tasks(ctx: Ctx) -> Response:
    """Single tasks and the items of batches, the newest first, a batch's in the order of its requests. Prompts are cut
    to 30 characters; schemas and results are left out. A page past the end is empty."""
    number, size = convert.page_of(ctx)
    statuses = convert.chosen(ctx, "status", lists.TASK_WORDS)
    modes = convert.chosen(ctx, "analysis_mode", lists.MODES)
    query = ctx.request.query_params
    about = [query["asset_id"].lower()] if query.get("asset_id") else []
    about += [query["video_url"]] if query.get("video_url") else []
    found, total = await lists.tasks(ctx, statuses, modes, about, (number - 1) * size, size)
    answer: out.TaskPage = {
        "data": found,
        "page_info": views.page_info(number, size, total),
    }
    return Answer(answer)


@router.get(
    "/analyze/tasks/{task_id}",
    summary="Look at an analysis task",
    operation_id="retrieveAnalysisTask",
    responses={**said(s200=out.TaskOut), **flat(404)},
)
async def retrieve(ctx: Ctx, task_id: TaskId) -> Response:
    """A task as it is now, with its result once it is ready."""
    batch, item = await single.find(ctx, task_id)
    found = await ctx.services.heavy.run(views.task_object, batch, item, seconds=await _lasts(ctx, item))
    return Answer(found)


async def _lasts(ctx: Context, item: Item) -> float | None:
    asset = ItemInput.load(item.input).asset
    if asset is not None:
        with suppress(NotFound):
            return (await ctx.services.store.asset(ctx.workspace, asset)).seconds
    return None


async def _single(ctx: Context, task_id: str) -> tuple[Batch, Item]:
    """A task of its own. Raises Conflict for an item of a batch."""
    batch, item = await single.find(ctx, task_id)
    if batch.origin != views.SINGLE:
        message = f"The task belongs to the batch {batch.id}; cancel or delete the batch"
        raise Conflict(message, code="task_in_batch", batch_id=batch.id)
    return batch, item


@router.post(
    "/analyze/tasks/{task_id}/cancel",
    summary="Cancel an analysis task",
    operation_id="cancelAnalysisTask",
    responses={**said(s200=out.TaskCreated), **flat(404, 408, 409, 413, 422)},
)
async def cancel(ctx: Ctx, task_id: TaskId) -> Response:
    """Ends a task, also while it is being processed. Once more it answers the same; a task that is ready or has failed
    is a 409."""
    batch, item = await _single(ctx, task_id)

    async def work(_: str) -> Answer:
        state = item.state
        try:
            if state is not ItemState.canceled:
                await single.stop(ctx, batch.id)
                state = (await single.ended(ctx, batch.id, DROPPING))[1].state
        except NotFound:
            raise convert.nothing_of(task_id, "tasks") from None
        if state in (ItemState.succeeded, ItemState.failed):
            word = convert.TASK_WORDS[state]
            raise Conflict(f"The task is {word} already; nothing was left to cancel", code=f"task_{word}")
        answer: out.TaskCreated = {"task_id": item.id, "status": "canceled"}
        return Answer(answer)

    return await idempotent(ctx, {}, work, keep_refusals=False)


@router.delete(
    "/analyze/tasks/{task_id}",
    status_code=204,
    summary="Delete an analysis task",
    operation_id="deleteAnalysisTask",
    responses={**said(s204=None), **flat(404, 409)},
)
async def delete(ctx: Ctx, task_id: TaskId) -> Response:
    """Removes a task and its result. One that is being processed is a 409 and goes on to its end: cancel it first."""
    batch, item = await _single(ctx, task_id)
    store = ctx.services.store
    try:
        if item.state is ItemState.waiting:
            await single.stop(ctx, batch.id, abort=False)  # it may have started since it was looked at
        await store.erase_batch(ctx.workspace, batch.id, ctx.actor)
    except NotFound:
        raise convert.nothing_of(task_id, "tasks") from None
    except Conflict:
        raise Conflict("The task is being processed; cancel it first", code="task_processing") from None
    return Response(status_code=204)
