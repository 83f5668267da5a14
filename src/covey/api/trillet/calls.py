"""The calls of a batch: the list, one of them, its recording, hanging it up (contract sections 6, 7, 12)."""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import Path, Query, Response

from covey.api.kit import formats, schemas
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.idempotency import idempotent
from covey.api.kit.openapi import TEXTS, WITH_BODY, Responses, file_answer, new_router, said
from covey.api.trillet import convert, views
from covey.api.trillet import schemas as out
from covey.api.trillet.batches import BatchId, find
from covey.api.trillet.dialect import POSTED
from covey.calls.config import CallsConfig
from covey.domain.batch import Batch, Counts
from covey.domain.errors import BadRequest, Conflict, NotFound
from covey.domain.item import Item, ItemState

router = new_router("Calls")

JobId = Annotated[str, Path(description="A call's id, such as call_…")]

_MISSING = said(s404=out.CallNotFound)
_CURSOR = "c"


MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
}


def recording_answers() -> Responses:
    """What a route that serves a recording can answer."""
    answers = file_answer(*sorted(set(MEDIA_TYPES.values())))
    part = {**answers[200], "description": TEXTS[206]}
    return {**answers, 206: part, **said(s416=schemas.Problem)}


@router.get(
    "/{batchId}/calls",
    summary="List batch calls",
    operation_id="listCalls",
    responses=said(s200=out.CallList, s404=out.BatchNotFound),
)
async def list_calls(
    ctx: Ctx,
    batchId: BatchId,
    page: Annotated[str | None, Query(description="1-based; default 1")] = None,
    limit: Annotated[str | None, Query(description="Default 20, at most 100")] = None,
    status: Annotated[str, Query(description="all, waiting, active, completed, failed or cancelled")] = "all",
    after: Annotated[str | None, Query(description="The `after` of the last page, instead of `page`")] = None,
) -> Response:
    """The calls in the order of the list; the counts are of the same moment."""
    number, size = formats.positive("page", page, 1), formats.positive("limit", limit, 20, 100)
    state = _state(status)
    batch = await find(ctx, batchId)
    seen = _cursor(after)
    batch, items = await ctx.services.store.items(batch.id, state, offset=(number - 1) * size, after=seen, limit=size)
    total = matching(batch.counts, state)
    more = _CURSOR + str(items[-1].seq) if len(items) == size else None
    pages = views.pagination(number, size, total, more)
    if seen is not None:
        pages["hasNext"], pages["hasPrev"] = more is not None, True
    phone = CallsConfig.columns_of(batch.config)[1]
    answer: out.CallList = {
        "calls": [views.call_row(item, phone) for item in items],
        "pagination": pages,
        "summary": views.summary(batch.counts),
    }
    return Answer(answer)


def _state(status: str) -> ItemState | None:
    if status in ("all", ""):
        return None
    if status not in convert.CALL_STATES:
        raise BadRequest(f"status: {status[:40]!r} is none of all, {', '.join(convert.CALL_STATES)}")
    return convert.CALL_STATES[status]


def _cursor(after: str | None) -> int | None:
    if not after:
        return None
    digits = after.removeprefix(_CURSOR)
    if not (after.startswith(_CURSOR) and digits.isascii() and digits.isdigit() and len(digits) <= 8):
        raise BadRequest("after: this is no cursor; take it from pagination.after of the last page")
    return int(digits)


def matching(counts: Counts, state: ItemState | None) -> int:
    """How many items a filter means."""
    if state is None:
        return counts.total
    return int(getattr(counts, state.value))


def not_found() -> Answer:
    """Shape 2: whatever is missing on a call's route (contract 12.14)."""
    body: out.CallNotFound = {
        "status": "not_found",
        "error": "not_found",
        "message": "There is no call of this id in a batch of this id",
    }
    return Answer(body, 404)


async def find_call(ctx: Context, batch_id: str, job_id: str) -> tuple[Batch, Item] | None:
    """The batch and the call; None if one of them is not there."""
    try:
        batch = await find(ctx, batch_id)
        _, seq = convert.call_in(job_id, batch.id)
        return batch, await ctx.services.store.item(batch.id, seq)
    except NotFound:
        return None


@router.get(
    "/{batchId}/calls/{jobId}",
    summary="Get individual call status",
    operation_id="callStatus",
    responses={**said(s200=out.CallStatus), **_MISSING},
)
async def call(ctx: Ctx, batchId: BatchId, jobId: JobId) -> Response:
    """One call, with its transcript if it is completed."""
    found = await find_call(ctx, batchId, jobId)
    if found is None:
        return not_found()
    batch, item = found
    return Answer(views.call_status(batch, item, CallsConfig.columns_of(batch.config)[1]))


@router.post(
    "/{batchId}/calls/{jobId}/hangup",
    summary="Hang up one call",
    operation_id="hangUpCall",
    responses={**said(s200=schemas.Done), **_MISSING, **POSTED, **WITH_BODY},
)
async def hang_up(ctx: Ctx, batchId: BatchId, jobId: JobId) -> Response:
    """Ends one active call now; it ends failed, `aborted`, once its phone rings no more. One that was not dialled yet
    is cancelled, and never dialled."""
    found = await find_call(ctx, batchId, jobId)
    if found is None:
        return not_found()
    batch, item = found

    async def work(_: str) -> Answer:
        if not await ctx.services.orders.drop(ctx.workspace, batch.id, item.seq, ctx.actor):
            raise Conflict("The call is not active, so there is nothing to hang up", code="not_active")
        answer: schemas.Done = {"id": jobId, "message": "The call is being hung up"}
        return Answer(answer)

    return await idempotent(ctx, {}, work)


@router.get(
    "/{batchId}/calls/{jobId}/recording",
    summary="A call's recording",
    operation_id="callRecording",
    responses={**recording_answers(), **_MISSING},
)
async def recording(ctx: Ctx, batchId: BatchId, jobId: JobId) -> Response:
    """The sound of one call: left the agent, right the callee. A `Range` of bytes is answered with that part."""
    found = await find_call(ctx, batchId, jobId)
    return not_found() if found is None else await recording_of(ctx, found[1])


async def recording_of(ctx: Context, item: Item) -> Response:
    """The recording of an item; 404 if it has none, or none any more."""
    name = str((item.last.result.get("recording") if item.last else None) or "")
    sound = await ctx.services.recordings.get(name) if name else None
    return not_found() if sound is None else sound_answer(sound, name, item, ctx.request.headers)


_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)


def sound_answer(sound: bytes, name: str, item: Item, headers: Mapping[str, str]) -> Response:
    """The recording of `item`, kept as `name`: all of it, or the one range that `headers` ask for.

    Several ranges, and a form that is no range of bytes, are answered with the whole, as the RFC allows.
    """
    suffix = "." + name.rpartition(".")[2]
    tag = f'"{hashlib.sha256(name.encode()).hexdigest()[:32]}"'
    told = {
        "content-disposition": f'inline; filename="{convert.call_out(item.batch, item.seq)}{suffix}"',
        "accept-ranges": "bytes",
        "etag": tag,
    }
    asked = _RANGE.fullmatch(headers.get("range", "").strip()) if headers.get("if-range", tag) == tag else None
    kind = MEDIA_TYPES.get(suffix, "application/octet-stream")
    if asked is None or not (asked[1] or asked[2]) or (asked[1] and asked[2] and int(asked[1]) > int(asked[2])):
        return Response(sound, media_type=kind, headers=told)
    first, end = _part(asked[1], asked[2], len(sound))
    if first >= end:
        body: schemas.Problem = {"error": "range_not_satisfiable", "message": f"The recording has {len(sound):,} bytes"}
        return Answer(body, 416, {"content-range": f"bytes */{len(sound)}", "accept-ranges": "bytes"})
    told["content-range"] = f"bytes {first}-{end - 1}/{len(sound)}"
    return Response(sound[first:end], 206, media_type=kind, headers=told)


def _part(first: str, last: str, length: int) -> tuple[int, int]:
    """The bytes that a range means, the end not included; nothing if it lies behind the end."""
    if not first:
        return max(0, length - int(last)), length
    return int(first), min(int(last) + 1, length) if last else length
