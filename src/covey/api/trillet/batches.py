"""Batches: start, look, stop, pause, go on, change, repeat, forget (contract sections 3 to 5, 8, 12)."""

import asyncio
from typing import Annotated, Any

from fastapi import Path, Query, Response
from pydantic import ConfigDict, Field

from covey.api.kit import formats, schemas
from covey.api.kit.blank import Fields
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.idempotency import idempotent
from covey.api.kit.numerals import Real, Whole
from covey.api.kit.openapi import WITH_BODY, WITH_FILE, file_answer, multipart, new_router, parameters, said
from covey.api.trillet import agents, convert, requests, submit, views
from covey.api.trillet import schemas as out
from covey.api.trillet.agents import freeze
from covey.api.trillet.dialect import POSTED
from covey.api.trillet.holding import holding
from covey.api.trillet.retry import retry_batch
from covey.calls.config import KIND
from covey.calls.intake import template
from covey.domain.batch import Batch, StopReason
from covey.domain.errors import BadRequest, Conflict, NotFound

router = new_router("Batches")

BatchId = Annotated[str, Path(description="A batch's id, such as batch_…")]

_FORM = multipart(requests.SCHEMAS, ("file", "agentId"))
_MISSING = said(s404=out.BatchNotFound)


class Change(Fields):
    """What may change while a batch runs; null takes a limit away."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    maxConcurrent: Annotated[Whole, Field(ge=1, le=100_000)] | None = None
    callsPerSecond: Annotated[Real, Field(ge=0.001, le=1000)] | None = None


class Again(Fields):
    """Which calls to place again: by `status` (failed by default) and by `errorCode` (or outcome).
    Limits that are not given are those of the batch."""

    model_config = ConfigDict(extra="forbid")

    status: list[str] | str = "failed"
    errorCode: list[str] | str | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    scheduledAt: str | None = None
    expiresAt: str | None = None
    maxConcurrent: Annotated[Whole, Field(ge=1, le=100_000)] | None = None
    callsPerSecond: Annotated[Real, Field(ge=0.001, le=1000)] | None = None
    maxCost: Annotated[str, Field(max_length=40)] | None = None
    allowDuplicate: bool = False


async def find(ctx: Context, batch_id: str) -> Batch:
    """The workspace's batch of calls with this wire id; NotFound as for one that never was."""
    ident = convert.batch_in(batch_id)
    try:
        batch = await ctx.services.store.batch(ident, ctx.workspace)
    except NotFound:
        raise convert.no_batch(batch_id) from None
    if not convert.is_calls(batch):
        raise convert.no_batch(batch_id)
    return batch


async def _facts(ctx: Context, batch: Batch) -> tuple[Any, Any, Any]:
    store = ctx.services.store
    recent, outcomes, held = await asyncio.gather(
        store.recent(batch.id), store.outcomes(batch.id), holding(ctx.services, batch)
    )
    return recent, outcomes, held


@router.post(
    "",
    summary="Start batch calls",
    operation_id="startBatch",
    responses={**said(s200=out.Started, s400=out.StartRefused, s404=out.BatchNotFound), **POSTED, **WITH_FILE},
    openapi_extra=_FORM,
)
async def start(ctx: Ctx) -> Response:
    """Takes a list as CSV and starts calling. All or nothing: a refused start leaves nothing behind.

    The same file for the same agent on the same trunk, within ten minutes or while the first one is worked on, is
    refused as `duplicate_batch` unless `allowDuplicate` says that it is meant; with another Idempotency-Key, too.
    `warnings` counts the numbers that are also in a batch of the workspace on the same trunk that has not ended or was
    accepted in the last 24 hours.
    """
    return await submit.start(ctx)


@router.post(
    "/validate",
    summary="Validate a list",
    operation_id="validateBatch",
    responses={
        **said(s400=out.StartRefused, s404=out.BatchNotFound),
        **POSTED,
        **WITH_FILE,
        200: {
            "description": "The report",
            "model": out.ValidationReport,
            "content": {"text/csv": {"schema": {"type": "string"}}},
        },
    },
    openapi_extra={**_FORM, **parameters(format="`csv` for the report as CSV")},
)
async def validate(ctx: Ctx) -> Response:
    """Takes the form of a start and says what would come of it. Starts nothing."""
    return await submit.validate(ctx)


@router.get(
    "/template",
    summary="CSV template",
    operation_id="batchTemplate",
    responses={**file_answer("text/csv"), **said(s404=out.BatchNotFound)},
)
async def csv_template(
    ctx: Ctx, agentId: Annotated[str | None, Query(description="An agent whose placeholders become columns")] = None
) -> Response:
    """A CSV with the right header, to begin with."""
    names: list[str] = []
    if agentId:
        record = await agents.find_agent(ctx, agentId)
        names = sorted(freeze(record).placeholders)
    return Response(template(names), media_type="text/csv", headers=attachment("template.csv"))


def attachment(name: str) -> dict[str, str]:
    """Headers that make a browser save the answer under `name`."""
    return {"content-disposition": f'attachment; filename="{name}"'}


@router.get("", summary="List batches", operation_id="listBatches", responses=said(s200=out.BatchList))
async def list_batches(
    ctx: Ctx,
    page: Annotated[str | None, Query(description="1-based; default 1")] = None,
    limit: Annotated[str | None, Query(description="Default 20, at most 100")] = None,
    status: Annotated[str, Query(description="all, queued, processing, completed, cancelled or failed")] = "all",
) -> Response:
    """The workspace's batches, newest first."""
    number, size = formats.positive("page", page, 1), formats.positive("limit", limit, 20, 100)
    if status != "all" and status not in convert.STATES_OF:
        raise BadRequest(f"status: {status[:40]!r} is none of all, {', '.join(convert.STATES_OF)}")
    store = ctx.services.store
    found, total = await store.batches(
        ctx.workspace,
        kind=KIND,
        states=convert.STATES_OF.get(status),
        offset=(number - 1) * size,
        limit=size,
    )
    lanes = {lane.name: lane for lane in await store.lanes()}
    rows = [
        views.batch_row(batch, await store.outcomes(batch.id), await holding(ctx.services, batch, lanes))
        for batch in found
    ]
    answer: out.BatchList = {"batches": rows, "pagination": views.pagination(number, size, total)}
    return Answer(answer)


@router.get(
    "/{batchId}",
    summary="Get batch status",
    operation_id="batchStatus",
    responses={**said(s200=out.BatchStatus), **_MISSING},
)
async def status_of(ctx: Ctx, batchId: BatchId) -> Response:
    """A batch as it is now."""
    batch = await find(ctx, batchId)
    return Answer(views.status(batch, *await _facts(ctx, batch)))


@router.get(
    "/{batchId}/status",
    summary="Get batch progress",
    operation_id="batchProgress",
    responses={**said(s200=out.BatchProgress), **_MISSING},
)
async def progress_of(ctx: Ctx, batchId: BatchId) -> Response:
    """A batch's progress, flat."""
    batch = await find(ctx, batchId)
    return Answer(views.flat_progress(batch, *await _facts(ctx, batch)))


@router.delete(
    "/{batchId}",
    summary="Cancel batch",
    operation_id="cancelBatch",
    responses={**said(s200=out.Cancelled, s409=out.DuplicateBatch), **_MISSING},
)
async def cancel(
    ctx: Ctx,
    batchId: BatchId,
    active: Annotated[str | None, Query(description="`hangup` also ends the calls that are active now")] = None,
) -> Response:
    """Calls that wait are cancelled at once and never dialled, also those that were about to be; active ones run to
    their end. Deletes no data.

    It is answered when what was handed out and not dialled has come back, after 300 ms at the latest. So `activeCalls`
    were dialled before the answer; only other processes on the same database may dial some of them until 500 ms later.
    """
    if active not in (None, "hangup"):
        raise BadRequest(f"active: {active[:40]!r} is not hangup")
    batch = await find(ctx, batchId)
    try:
        stopped = await ctx.services.orders.stop(
            ctx.workspace, batch.id, StopReason.cancel, abort=active == "hangup", actor=ctx.actor
        )
    except NotFound:
        raise convert.no_batch(batchId) from None
    return Answer(_cancelled(stopped.batch, stopped.first))


def _cancelled(batch: Batch, first: bool) -> out.Cancelled:
    """A cancel's answer (contract 12.7). Raises Conflict for a batch that ended by itself."""
    word = convert.batch_word(batch)
    if word in ("completed", "failed"):
        raise Conflict(
            f"The batch is {word}; nothing was left to cancel",
            code="nothing_to_cancel",
            id=convert.batch_out(batch.id),
            status=word,
            details=views.cancel_details(batch.counts),
        )
    return {
        "batchId": convert.batch_out(batch.id),
        "status": "cancelled",
        "message": "Batch cancelled successfully" if first else "The batch was cancelled before",
        "details": views.cancel_details(batch.counts),
    }


@router.delete(
    "/{batchId}/data",
    summary="Delete a batch's data",
    operation_id="deleteBatchData",
    responses={**said(s200=schemas.Done, s409=out.DuplicateBatch), **_MISSING},
)
async def delete_data(ctx: Ctx, batchId: BatchId) -> Response:
    """Removes an ended batch with its calls, transcripts and recordings. Cannot be undone."""
    batch = await find(ctx, batchId)
    try:
        await ctx.services.store.erase_batch(ctx.workspace, batch.id, ctx.actor)
    except NotFound:
        raise convert.no_batch(batchId) from None
    answer: schemas.Done = {"id": batchId, "message": "The batch is deleted; its files follow"}
    return Answer(answer)


_TURNED: Any = {**said(s200=out.BatchStatus), **_MISSING, **POSTED, **WITH_BODY}


@router.post("/{batchId}/pause", summary="Pause a batch", operation_id="pauseBatch", responses=_TURNED)
async def pause(ctx: Ctx, batchId: BatchId) -> Response:
    """Nothing more of it starts until it is resumed, also no call that was about to be dialled; active calls go on."""
    batch = await find(ctx, batchId)

    async def work(_: str) -> Answer:
        return await _shown(ctx, await ctx.services.orders.pause(ctx.workspace, batch.id, "paused", ctx.actor))

    return await idempotent(ctx, {}, work)


@router.post("/{batchId}/resume", summary="Resume a batch", operation_id="resumeBatch", responses=_TURNED)
async def resume(ctx: Ctx, batchId: BatchId) -> Response:
    """Goes on with a paused batch."""
    batch = await find(ctx, batchId)

    async def work(_: str) -> Answer:
        resumed = await ctx.services.store.resume(ctx.workspace, batch.id, ctx.actor)
        ctx.services.wakeups.work(resumed.lane)
        return await _shown(ctx, resumed)

    return await idempotent(ctx, {}, work)


@router.patch(
    "/{batchId}",
    summary="Change a batch",
    operation_id="changeBatch",
    responses={**said(s200=out.BatchStatus, s409=out.DuplicateBatch), **_MISSING, **WITH_BODY},
)
async def change(ctx: Ctx, batchId: BatchId, body: Change) -> Response:
    """Changes a batch's name or its own limits while it runs."""
    batch = await find(ctx, batchId)
    given = body.model_dump(exclude_unset=True)
    if not given:
        raise BadRequest("The body changes nothing; it takes name, maxConcurrent and callsPerSecond")
    names = {"maxConcurrent": "cap", "callsPerSecond": "pace"}
    changed = await ctx.services.store.adjust(
        ctx.workspace, batch.id, {names.get(name, name): value for name, value in given.items()}, ctx.actor
    )
    ctx.services.wakeups.work(changed.lane)
    return await _shown(ctx, changed)


async def _shown(ctx: Context, batch: Batch) -> Answer:
    return Answer(views.status(batch, *await _facts(ctx, batch)))


@router.post(
    "/{batchId}/retry",
    summary="Call some of them again",
    operation_id="retryBatch",
    responses={**said(s200=out.Started, s404=out.BatchNotFound), **POSTED, **WITH_BODY},
)
async def retry(ctx: Ctx, batchId: BatchId, body: Again | None = None) -> Response:
    """A new batch of those calls of an ended or running one that came out in the ways that are named.

    Calls of which nobody knows whether the phone rang (`outcome_unknown`, `no_final_answer`) are only placed again
    if `errorCode` names them. The same selection of the same batch within ten minutes, or while the first one is
    worked on, is refused as `duplicate_batch` unless `allowDuplicate` says that it is meant; with another
    Idempotency-Key, too.

    The batch's limits hold for the new one as well: `maxConcurrent`, `callsPerSecond`, `expiresAt`, and of `maxCost`
    what is left after all that it and its retries have spent or may still spend. If its `expiresAt` is over (400
    `expired`), or what is left does not pay for a call (409 `budget_reached`), a new one is to be given.
    """
    batch = await find(ctx, batchId)
    asked = body or Again()
    return await retry_batch(ctx, batch, asked.model_dump())


@router.get(
    "/{batchId}/report",
    summary="Skipped rows",
    operation_id="batchReport",
    responses={**said(s200=out.ReportOut), **_MISSING},
)
async def report(ctx: Ctx, batchId: BatchId) -> Response:
    """The rows of the batch's file that were not taken."""
    batch = await find(ctx, batchId)
    rows = await asyncio.to_thread(submit.skipped_rows, ctx.services.settings.data, batch.id, 1000)
    answer: out.ReportOut = {
        "id": batchId,
        "invalidCount": int(batch.notes.get("invalid", 0)),
        "invalidRows": rows,
        "duplicates": int(batch.notes.get("duplicates", 0)),
    }
    return Answer(answer)


@router.get(
    "/{batchId}/history",
    summary="What happened to a batch",
    operation_id="batchHistory",
    responses={**said(s200=out.History), **_MISSING},
)
async def history(ctx: Ctx, batchId: BatchId) -> Response:
    """What happened to the batch, when, and by which key."""
    batch = await find(ctx, batchId)
    answer: out.History = {
        "id": batchId,
        "events": [
            {
                "at": formats.millis(event.at),
                "event": convert.event_word(event.type, event.data),
                "key": event.actor,
                "data": convert.event_data(batch.id, event.data),
            }
            for event in await ctx.services.store.history(batch.id)
        ],
    }
    return Answer(answer)
