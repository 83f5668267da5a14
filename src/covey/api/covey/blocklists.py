"""Lists of numbers that are never to be called, read as the list of a batch is: no line of them is lost in silence."""

from dataclasses import replace
from typing import Any

from fastapi import Response
from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from covey.api.covey.people import add_blocked, reading
from covey.api.kit.checking import checked
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.forms import Form
from covey.api.kit.idempotency import idempotent
from covey.api.kit.openapi import POSTED, WITH_FILE, multipart, new_router, said
from covey.api.trillet import requests
from covey.api.trillet import schemas as out
from covey.api.trillet.requests import read_form
from covey.api.trillet.submit import fingerprint_fields
from covey.calls.intake import CheckedList, IntakeOptions, Report
from covey.domain.errors import BadRequest

router = new_router("People", "/v1/api")

LONGEST_REASON = 200

_FIELDS: dict[str, Any] = {
    "file": {
        "type": "string",
        "format": "binary",
        "description": "The list, at most 20 MiB: a CSV with a header row, or numbers alone, one or more a line",
    },
    "reason": {"type": "string", "maxLength": LONGEST_REASON, "description": "Why, for those who look later"},
    **{name: requests.SCHEMAS[name] for name in ("region", "phoneColumn", "encoding")},
}
_NAMES = frozenset(_FIELDS) - {"file"}


@with_config(ConfigDict(extra="forbid"))
class ListBlocked(TypedDict):
    """What became of every line that is not empty: numbers that are new on the do-not-call list, that were on it
    before, or that stand in an earlier line, too; and lines that were left out. The first 1,000 of those stand in
    `invalidRows`. A list without a header has no `columns`, and null as `phoneColumn`. `cutOffAt` is the line after
    which nothing was read, as a quote is not closed, or too much is bad or empty; null if all was read."""

    message: str
    added: int
    known: int
    duplicates: int
    invalidCount: int
    invalidByCode: dict[str, int]
    invalidRows: list[out.BadRowOut]
    emptyLines: int
    columns: list[str]
    phoneColumn: str | None
    separator: str
    encoding: str
    cutOffAt: int | None


@router.post(
    "/dnc/import",
    summary="Never call the numbers of a list",
    operation_id="blockList",
    responses={**said(s200=ListBlocked, s400=out.StartRefused), **POSTED, **WITH_FILE},
    openapi_extra=multipart(_FIELDS, ("file",)),
)
async def import_list(ctx: Ctx) -> Response:
    """Takes a list as the start of a batch does: the same columns, separators, encodings, and report of bad rows. What
    is understood is added, and holds from the next claim on, for batches that run, too; what is left out is listed. A
    list without a header is taken as well: every cell that may be a number is read, one or more a line."""
    services = ctx.services
    least = "the part file (curl: -F file=@numbers.csv)"
    upload = await read_form(ctx.request, _NAMES, services.spool, services.settings.limits, least)
    async with upload:
        reason, options = _reason(upload), await _options(ctx, upload)

        async def work(_: str) -> Answer:
            assert upload.path is not None
            async with await checked(ctx, upload.path, options) as found:
                return Answer(_answer(found.report, await _add(ctx, found, reason)))

        return await idempotent(ctx, fingerprint_fields(upload), work)


async def _options(ctx: Context, upload: Form) -> IntakeOptions:
    given = {name: text.strip() for name, text in upload.fields.items()}
    region = requests.region(given["region"]) if "region" in given else None
    column = given.get("phoneColumn")
    if column == "":
        raise BadRequest("phoneColumn: is empty; it takes the name of the column of numbers")
    options = await reading(ctx, region)
    options = replace(options, phone_column=column, headerless=True)
    return replace(options, encoding=requests.encoding(given["encoding"])) if "encoding" in given else options


def _reason(upload: Form) -> str:
    reason = upload.fields.get("reason", "").strip()
    if len(reason) > LONGEST_REASON:
        raise BadRequest(f"reason: {len(reason):,} characters; at most {LONGEST_REASON} are taken")
    return reason


async def _add(ctx: Context, found: CheckedList, reason: str) -> int:
    """Block the numbers piece by piece, so that a long list holds up nobody; how many are new."""
    added = 0
    async for piece in found.pieces():
        added += await add_blocked(ctx, [item.ref for item in piece if item.ref], reason)
    return added


def _answer(report: Report, added: int) -> dict[str, Any]:
    """The shape of `ListBlocked`."""
    known = report.total - report.duplicates - added
    message = f"{added:,} numbers are new on the list, {known:,} were on it before"
    if report.invalid:
        message += f"; {report.invalid:,} rows were left out, invalidRows says why"
    if report.cut_off_at is not None:
        message += f"; nothing after line {report.cut_off_at:,} was read"
    shown = report.as_json()
    del shown["totalCalls"], shown["duplicatesSkipped"]
    return {"message": message, "added": added, "known": known, **shown, "phoneColumn": report.phone_column or None}
