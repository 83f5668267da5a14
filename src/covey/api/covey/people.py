"""Numbers that are never called, and what is known about the person behind a number."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, NotRequired

from fastapi import Path, Query, Response
from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from covey.api.covey.admin import Region
from covey.api.covey.erasing import KEPT, erase_person
from covey.api.kit import schemas
from covey.api.kit.blank import Fields
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.formats import iso, positive
from covey.api.kit.idempotency import idempotent
from covey.api.kit.openapi import POSTED, WITH_BODY, new_router, said
from covey.api.kit.workspace import WorkspaceSettings
from covey.api.trillet import schemas as out
from covey.api.trillet.convert import is_calls
from covey.api.trillet.history_views import HistoryCall, history_call
from covey.api.trillet.numbers import read_number
from covey.api.trillet.submit import region_of
from covey.calls.intake import IntakeOptions, NumberRule
from covey.domain.batch import Batch
from covey.domain.errors import BadRequest, NotFound
from covey.domain.item import Item

router = new_router("People", "/v1/api")

Number = Annotated[str, Path(description="A phone number with its + (as %2B in an address)")]

RegionQuery = Annotated[Region | None, Query(description="The country of a number without +; absent: the default")]


class Blocking(Fields):
    """Numbers that are never to be called again."""

    model_config = ConfigDict(extra="forbid")

    numbers: Annotated[list[Annotated[str, Field(max_length=40)]], Field(min_length=1, max_length=10_000)]
    reason: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] = ""
    region: Region | None = None


@with_config(ConfigDict(extra="forbid"))
class BlockedOut(TypedDict):
    """A number that is never called."""

    number: str
    reason: str
    addedAt: str


@with_config(ConfigDict(extra="forbid"))
class BlockedList(TypedDict):
    """A page of the do-not-call list; `after` leads to the next."""

    numbers: list[BlockedOut]
    after: NotRequired[str]


@with_config(ConfigDict(extra="forbid"))
class BadNumber(TypedDict):
    """A number that was not taken."""

    value: str
    code: str
    message: str


@with_config(ConfigDict(extra="forbid"))
class BlockingDone(TypedDict):
    """How many numbers are new on the list, how many were on it before or came twice, and which were not understood."""

    added: int
    known: int
    duplicates: int
    invalid: list[BadNumber]


@with_config(ConfigDict(extra="forbid"))
class Person(TypedDict):
    """Everything the workspace holds about a number."""

    number: str
    blocked: bool
    calls: list[HistoryCall]


@with_config(ConfigDict(extra="forbid"))
class Erased(TypedDict):
    """What was erased, and in `kept` what was not: a sentence each."""

    number: str
    calls: int
    recordings: int
    skippedRows: int
    kept: list[str]


@router.get("/dnc", summary="List do-not-call numbers", operation_id="listBlocked", responses=said(s200=BlockedList))
async def list_blocked(
    ctx: Ctx,
    after: Annotated[str, Query(description="The `after` of the last page", max_length=64)] = "",
    limit: Annotated[str | None, Query(description="Default 100, at most 1,000")] = None,
) -> Response:
    """The numbers this workspace never calls."""
    size = positive("limit", limit, 100, 1000)
    found = await ctx.services.store.blocked(ctx.workspace, after=after, limit=size)
    rows: list[BlockedOut] = [
        {"number": one.ref, "reason": one.reason, "addedAt": iso(one.created_at)} for one in found
    ]
    answer: BlockedList = {"numbers": rows}
    if len(found) == size:
        answer["after"] = found[-1].ref
    return Answer(answer)


@router.post(
    "/dnc",
    summary="Never call these numbers",
    operation_id="block",
    responses={**said(s200=BlockingDone), **POSTED, **WITH_BODY},
)
async def block(ctx: Ctx, body: Blocking) -> Response:
    """Holds from the answer on, for batches that run, too: a call that was about to be dialled is taken back, one that
    is active goes on. What is not understood is listed, the rest is taken."""
    options = await reading(ctx, body.region)
    good, bad = await asyncio.to_thread(_read_all, body.numbers, options)
    duplicates = len(body.numbers) - len(good) - len(bad)

    async def work(_: str) -> Answer:
        added = await add_blocked(ctx, good, body.reason)
        answer: BlockingDone = {
            "added": added,
            "known": len(good) - added,
            "duplicates": duplicates,
            "invalid": bad,
        }
        return Answer(answer)

    return await idempotent(ctx, body.model_dump(), work)


async def add_blocked(ctx: Context, numbers: Sequence[str], reason: str) -> int:
    """Never call these numbers (E.164) again; how many are new on the list."""
    return await ctx.services.orders.block(ctx.workspace, numbers, reason)


async def reading(ctx: Context, region: str | None) -> IntakeOptions:
    """How numbers that are not to be dialled are read: as those of a list, unless `region` says else."""
    workspace = await ctx.workspace_settings()
    defaults = WorkspaceSettings.model_validate(dict(workspace.settings))
    return IntakeOptions(rule=NumberRule.any, region=region_of(ctx, region, defaults), country=defaults.country)


def _read_all(numbers: list[str], options: IntakeOptions) -> tuple[list[str], list[BadNumber]]:
    good, bad = dict[str, None](), list[BadNumber]()
    for text in numbers:
        try:
            good[read_number(text, options, "numbers").e164] = None
        except BadRequest as error:
            bad.append({"value": text, "code": error.code, "message": error.message})
    return list(good), bad


@router.delete(
    "/dnc/{number}",
    summary="Allow a number again",
    operation_id="unblock",
    responses=said(s200=schemas.Done, s404=schemas.Problem),
)
async def unblock(ctx: Ctx, number: Number, region: RegionQuery = None) -> Response:
    """Takes a number off the do-not-call list."""
    e164 = await _number(ctx, number, region)
    if not await ctx.services.store.unblock(ctx.workspace, e164):
        raise NotFound("The number is not on the do-not-call list")
    answer: schemas.Done = {"id": e164, "message": "The number may be called again"}
    return Answer(answer)


@router.get("/people/{number}", summary="Look a person up", operation_id="getPerson", responses=said(s200=Person))
async def person(ctx: Ctx, number: Number, region: RegionQuery = None) -> Response:
    """The workspace's calls with this number, transcripts included; of more than 1,000 the newest."""
    e164 = await _number(ctx, number, region)
    found = await _calls_of(ctx, e164)
    first = await ctx.services.store.blocked(ctx.workspace, after=_before(e164), limit=1)
    answer: Person = {
        "number": e164,
        "blocked": bool(first) and first[0].ref == e164,
        "calls": [history_call(batch, item) for batch, item in found],
    }
    return Answer(answer)


def _before(ref: str) -> str:
    """The greatest string that is smaller than an E.164 number and not itself one."""
    return ref[:-1] + chr(ord(ref[-1]) - 1) + "~"


@router.delete(
    "/people/{number}",
    summary="Erase a person",
    operation_id="erasePerson",
    responses=said(s200=Erased, s409=out.DuplicateBatch),
)
async def erase(ctx: Ctx, number: Number, region: RegionQuery = None) -> Response:
    """Removes what is known about the person behind a number, once every call with it has ended.

    Removed are the recordings of every attempt, the sounds made for the workspace's calls, the number and the row of
    every call, what was said and answered, the batch of a single call, and the number in lists of skipped rows. Kept
    are that there was a call: its place in its batch, its outcome, its times and the counts; the do-not-call list; for
    at most 24 hours the answers kept for an Idempotency-Key; and copies made before, such as backups and exports.
    """
    e164 = await _number(ctx, number, region)
    done = await erase_person(ctx.services, ctx.workspace, e164, ctx.actor)
    answer: Erased = {
        "number": e164,
        "calls": done.calls,
        "recordings": done.recordings,
        "skippedRows": done.skipped_rows,
        "kept": list(KEPT),
    }
    return Answer(answer)


async def _calls_of(ctx: Context, e164: str) -> list[tuple[Batch, Item]]:
    found, batches = [], dict[str, Batch]()
    for item in await ctx.services.store.by_ref(ctx.workspace, e164):
        if item.batch not in batches:
            batches[item.batch] = await ctx.services.store.batch(item.batch, ctx.workspace)
        if is_calls(batches[item.batch]):
            found.append((batches[item.batch], item))
    return found


async def _number(ctx: Context, text: str, region: str | None) -> str:
    number = await asyncio.to_thread(read_number, text, await reading(ctx, region), "number")
    return number.e164
