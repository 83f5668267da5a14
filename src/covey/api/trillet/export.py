"""The results of a batch as a file (contract 12.15): the list's own columns first, then what came of each row."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import Query, Response

from covey.api.kit import formats
from covey.api.kit.context import Context, Ctx
from covey.api.kit.json_text import write_json
from covey.api.kit.openapi import file_answer, new_router, said
from covey.api.kit.streaming import streamed
from covey.api.trillet import convert, views
from covey.api.trillet import schemas as out
from covey.api.trillet.batches import BatchId, find
from covey.calls.config import CallsConfig, Row
from covey.calls.csv_cells import csv_row
from covey.domain.batch import Batch
from covey.domain.errors import BadRequest
from covey.domain.item import Item, ItemState

router = new_router("Batches")

PAGE = 500

COLUMNS = (
    "status",
    "outcome",
    "error_code",
    "error",
    "attempts",
    "started_at",
    "answered_at",
    "ended_at",
    "duration",
    "talk_seconds",
    "answers",
    "message_left",
    "trunk",
    "live",
    "row",
    "called_number",
    "job_id",
    "recording",
    "transcript",
)
"""What stands after the list's own columns."""


@router.get(
    "/{batchId}/export",
    summary="Export results",
    operation_id="exportBatch",
    responses={**file_answer("text/csv", "application/x-ndjson"), **said(s404=out.BatchNotFound)},
)
async def export(
    ctx: Ctx,
    batchId: BatchId,
    format: Annotated[str, Query(description="csv or jsonl")] = "csv",
    raw: Annotated[str, Query(description="`true` leaves cells as they are that a spreadsheet would run")] = "false",
) -> Response:
    """Every call of the batch, in the order of the list, as it is now."""
    if format not in ("csv", "jsonl"):
        raise BadRequest(f"format: {format[:40]!r} is neither csv nor jsonl")
    if raw not in ("true", "false"):
        raise BadRequest(f"raw: {raw[:40]!r} is neither true nor false")
    batch = await find(ctx, batchId)
    headers = {"content-disposition": f'attachment; filename="{convert.batch_out(batch.id)}.{format}"'}
    if format == "jsonl":
        return await streamed(_json_lines(ctx, batch), "application/x-ndjson", headers)
    return await streamed(_csv(ctx, batch, raw == "true"), "text/csv", headers)


async def _pages(ctx: Context, batch: Batch) -> AsyncIterator[list[Item]]:
    after = -1
    while True:
        _, items = await ctx.services.store.items(batch.id, after=after, limit=PAGE)
        if not items:
            return
        after = items[-1].seq
        yield items


async def _csv(ctx: Context, batch: Batch, raw: bool) -> AsyncIterator[bytes]:
    columns, _ = CallsConfig.columns_of(batch.config)
    yield csv_row((*columns, *(_free(name, columns) for name in COLUMNS)), raw)
    async for items in _pages(ctx, batch):
        yield b"".join(csv_row(_cells(batch, item, columns), raw) for item in items)


def _free(name: str, taken: tuple[str, ...]) -> str:
    """A name for one of our columns that no column of the list has."""
    while name in taken:
        name = f"call_{name}"
    return name


def _cells(batch: Batch, item: Item, columns: tuple[str, ...]) -> list[Any]:
    row, run = Row.load(item.input), item.last
    kept: Any = run.result if run else {}
    succeeded = item.state is ItemState.succeeded
    started = run.started_at if run else item.started_at
    answered = kept.get("answered_at_ms")
    return [
        *(row.values.get(name, "") for name in columns),
        convert.call_word(item.state),
        run.code if run and succeeded else "",
        run.code if run and not succeeded else "",
        views.error_sentence(run, item.tries) if run and not succeeded else "",
        item.tries,
        formats.iso(started) if started else "",
        formats.iso_millis(answered) if answered else "",
        formats.iso(run.ended_at) if run else "",
        views.seconds_between(started, run.ended_at) if run and succeeded else "",
        kept.get("talk_seconds", ""),
        orjson.dumps(kept["answers"]).decode() if kept.get("answers") else "",
        "true" if kept.get("message_left") else "",
        batch.lane,
        "true" if batch.notes.get("live") else "false",
        row.row,
        item.ref or "",
        convert.call_out(batch.id, item.seq),
        views.recording_url(item) if kept.get("recording") else "",
        kept.get("transcript", ""),
    ]


async def _json_lines(ctx: Context, batch: Batch) -> AsyncIterator[bytes]:
    phone = CallsConfig.columns_of(batch.config)[1]
    async for items in _pages(ctx, batch):
        yield b"".join(write_json(views.call_status(batch, item, phone)) + b"\n" for item in items)
