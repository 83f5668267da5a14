"""An analysis that is waited for (`docs/contracts/twelvelabs.md` 9.3): a single task, ended when its caller goes away,
or when its model does not work and the task waits for that in vain.

A streamed answer begins at once; its text comes when the whole answer is there, in pieces: no model is asked to stream.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

from fastapi import Response
from fastapi.responses import StreamingResponse

from covey.analysis.config import MODEL_LANE
from covey.api.kit.bodies import print_of
from covey.api.kit.checking import left
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.idempotency import idempotent
from covey.api.kit.openapi import TEXTS
from covey.api.kit.submission import made
from covey.api.twelvelabs import schemas as out
from covey.api.twelvelabs import single, views
from covey.api.twelvelabs.dialect import WAITED_FOR, TwelveLabs
from covey.api.twelvelabs.holding import VIDEOS
from covey.api.twelvelabs.requests import Analyze
from covey.api.twelvelabs.shapes import family, flat
from covey.domain.batch import Batch, StopReason
from covey.domain.errors import CoveyError, NotFound
from covey.domain.ids import item_id, new_id
from covey.domain.item import Item, ItemState
from covey.domain.run import NOT_STARTED, RunState
from covey.engine.submission import settled

router = family("Analysis")

PIECE = 2000
"""So many characters of an answer come in one event."""

NDJSON = "application/x-ndjson"

HELD_PATIENCE, RETURNED_PATIENCE = 15.0, 60.0
"""Seconds that a caller is kept waiting while the model is held, and while the task was given back by it."""

LOOK_SECONDS = 1.0

_OF_THE_SERVER = frozenset(
    {
        "analysis_not_installed",
        "decoder_not_isolated",
        "internal_error",
        "network_lost",
        "no_room",
        "outcome_unknown",
        "provider_error",
        "storage_unavailable",
        "worker_lost",
    }
)
_OF_THE_MODEL = frozenset(
    {
        "invalid_model_output",
        "model_busy",
        "model_down",
        "model_error",
        "model_key_refused",
        "model_reply_malformed",
    }
)
"""Codes of tasks that failed through no fault of the request (`docs/models.md`)."""

_TOO_LATE = frozenset({"model_timeout", "batch_processing_timeout", "batch_expired"})
"""Codes of tasks that came to no answer in time."""


class ModelUnavailable(CoveyError):
    """The model does not work now. The task is canceled; asking again later is safe."""

    status = 503
    code = "model_unavailable"


@router.post(
    "/analyze",
    summary="Analyze a video and wait",
    operation_id="analyze",
    responses={
        200: {
            "model": out.Analysed,
            "description": TEXTS[200],
            "content": {NDJSON: {"schema": {"type": "string"}}},
        },
        **flat(404, 408, 409, 413, 422),
    },
)
async def analyze(ctx: Ctx, body: Analyze) -> Response:
    """Takes one video and a prompt, and answers when the answer is there: as NDJSON (`stream`, which is the default) or
    as one object. If the caller goes away it is canceled; so it is if the model does not work, and the answer is 503,
    `model_unavailable`, or the `error` of the stream's end. Without `stream` it fails with 400 for what is wrong with
    the video or the question, 500 for the model or this server, 504 if there was no answer in time, each with the
    task's code. An Idempotency-Key counts without `stream`."""
    if body.stream is not False:
        batch = await single.make(ctx, body, new_id(ctx.services.clock.now()))
        return StreamingResponse(_events(ctx, batch), media_type=NDJSON)
    meaning = await print_of(ctx)

    async def work(ident: str) -> Answer:
        return await _waited(ctx, await single.make(ctx, body, ident))

    async def recover(ident: str) -> Answer | None:
        batch = await made(ctx, ident)
        return None if batch is None or batch.stop_reason is StopReason.cancel else await _waited(ctx, batch)

    return await idempotent(ctx, meaning, work, new_id(ctx.services.clock.now()), recover, keep_refusals=False)


async def _waited(ctx: Context, batch: Batch) -> Answer:
    """The end of a task, unless its caller goes away first: then it is canceled."""
    ending = asyncio.create_task(_ended(ctx, batch))
    leaving = asyncio.create_task(left(ctx.request))
    try:
        await asyncio.wait([ending, leaving], return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            return _answer(*ending.result())
        await single.stop(ctx, batch.id)
        gone = _refused(400, "request_canceled_or_timed_out", "The caller went away")
        gone.stored = None
        return gone
    except BaseException:
        with suppress(CoveyError):
            await settled(single.stop(ctx, batch.id))
        raise
    finally:
        for task in (ending, leaving):
            task.cancel()


async def _ended(ctx: Context, batch: Batch) -> tuple[Batch, Item]:
    """The end of a task. Raises ModelUnavailable once it has waited too long for its model; then it is canceled."""
    ending = asyncio.create_task(single.ended(ctx, batch.id))
    despairing = asyncio.create_task(_despaired(ctx, batch))
    try:
        await asyncio.wait([ending, despairing], return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            return ending.result()
        why = despairing.result()
        await settled(single.stop(ctx, batch.id))
        found, item = await single.ended(ctx, batch.id, timedelta(0))
        if item.state in (ItemState.succeeded, ItemState.failed):
            return found, item
        name = batch.lane.removeprefix(MODEL_LANE)
        raise ModelUnavailable(f"The model {name} does not work now: {why}", task_id=item.id)
    finally:
        for task in (ending, despairing):
            task.cancel()


async def _despaired(ctx: Context, batch: Batch) -> str:
    """What is wrong with the model of a task, once that has waited for it too long. A task that is being processed is
    not waiting, and neither is one for which there was no room yet."""
    store, clock = ctx.services.store, ctx.services.clock
    since, held = clock.monotonic(), None
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            lane, item = await store.lane(batch.lane), await store.item(batch.id, 0)
        except CoveyError:
            continue
        now = clock.monotonic()
        held = (held or now) if lane is not None and lane.open_since is not None else None
        if item.state is not ItemState.waiting:
            continue
        returned = [run for run in item.earlier if run.state is RunState.returned]
        back = item.reason == NOT_STARTED or (returned and item.reason == returned[-1].code)
        if (held and now - held >= HELD_PATIENCE) or (back and now - since >= RETURNED_PATIENCE):
            if returned and returned[-1].message:
                return returned[-1].message
            reason = (lane.open_reason if lane is not None else None) or item.reason or "it gives no answer"
            return VIDEOS.codes.get(reason, reason)


def _refused(status: int, code: str, message: str, **details: str) -> Answer:
    return Answer(TwelveLabs().problem(WAITED_FOR, status, code, message, details), status)


def _answer(batch: Batch, item: Item) -> Answer:
    answer = views.generated(item)
    if answer is None:
        fault = views.fault(batch, item) or views.LOST
        code = fault.get("code", "request_canceled_or_timed_out")
        status = _status(batch, code)
        return _refused(status, code, fault["message"], task_id=item.id)
    found: out.Analysed = {
        "id": answer["generation_id"],
        "data": answer["data"],
        "finish_reason": answer["finish_reason"],
        "usage": answer["usage"],
    }
    if answer["finish_reason"] == "length":
        found["error"] = views.TRUNCATED
    return Answer(found)


def _status(batch: Batch, code: str) -> int:
    """The status for a task that came to no answer: 400 for what is wrong with its video or the question, 500 for what
    is wrong with the model or this server, 504 if its time was over."""
    if code in _TOO_LATE:
        return 504
    return 500 if code in _OF_THE_SERVER | _OF_THE_MODEL or batch.stop_reason is StopReason.fail else 400


async def _events(ctx: Context, batch: Batch) -> AsyncIterator[bytes]:
    """The events of a streamed answer. Whoever stops reading cancels the task."""
    ident, over = item_id(batch.id, 0), False
    try:
        yield views.ascii_line({"event_type": "stream_start", "metadata": {"generation_id": ident}})
        try:
            found, item = await _ended(ctx, batch)
        except ModelUnavailable as error:
            over = True
            gone = {"code": error.code, "message": error.message}
            yield views.ascii_line({"event_type": "stream_end", "metadata": {"generation_id": ident}, "error": gone})
            return
        except NotFound:
            over = True
            raise
        over = True
        answer = views.generated(item)
        if answer is None:
            fault = views.fault(found, item) or views.LOST
            yield views.ascii_line({"event_type": "stream_end", "metadata": {"generation_id": ident}, "error": fault})
            return
        for first in range(0, len(answer["data"]), PIECE):
            yield views.ascii_line({"event_type": "text_generation", "text": answer["data"][first : first + PIECE]})
        yield views.ascii_line(_end(ident, answer))
    finally:
        if not over:
            with suppress(CoveyError):
                await settled(single.stop(ctx, batch.id))


def _end(ident: str, answer: out.Generated) -> dict[str, object]:
    end: dict[str, object] = {
        "event_type": "stream_end",
        "finish_reason": answer["finish_reason"],
        "metadata": {"generation_id": ident, "usage": answer["usage"]},
    }
    return {**end, "error": views.TRUNCATED} if answer["finish_reason"] == "length" else end
