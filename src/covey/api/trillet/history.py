"""Call history: every call of a workspace that was placed, newest batch first (contract 10.3)."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Path, Query, Response
from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from covey.api.kit import formats
from covey.api.kit.blank import Fields, is_blank
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.json_text import Unfit, read_json
from covey.api.kit.numerals import Whole
from covey.api.kit.openapi import WITH_BODY, file_answer, new_router, said
from covey.api.kit.streaming import streamed
from covey.api.trillet import convert
from covey.api.trillet import schemas as out
from covey.api.trillet.batches import attachment
from covey.api.trillet.calls import matching, not_found, recording_answers, recording_of
from covey.api.trillet.history_views import HEADER, HistoryCall, cells, history_call
from covey.calls.config import KIND
from covey.calls.csv_cells import csv_row
from covey.domain.batch import Batch
from covey.domain.errors import BadRequest, NotFound
from covey.domain.item import Item, ItemState

router = new_router("Call history")

PREFIX = "/v2/api/call-history"

STATES = {
    "active": (ItemState.active,),
    "ongoing": (ItemState.active,),
    "completed": (ItemState.succeeded,),
    "failed": (ItemState.failed,),
}
PLACED = (ItemState.active, ItemState.succeeded, ItemState.failed)

_RANGE = ("from", "to", "startDate", "endDate")

_PAGE = 100

_ALL = 1000
"""So many batches are read at once where all of them are wanted."""

_OUT_OF_ORDER = timedelta(hours=1)
"""By so much a machine's clock may have been set back between two batches, whose ids are in the order of time."""

_NOTHING_BEFORE = datetime(1970, 1, 1, tzinfo=UTC)
"""There are no earlier batches, and a little before the first years there is no time at all."""

RecordId = Annotated[str, Path(description="A call's id")]


@with_config(ConfigDict(extra="forbid"))
class HistoryMetrics(TypedDict):
    """Sums over the calls that were placed. Covey charges nothing, so `totalCost` is 0."""

    totalCalls: int
    completedCalls: int
    failedCalls: int
    averageDuration: float
    totalCost: float


class ExportBody(Fields):
    """What to put into the file."""

    model_config = ConfigDict(extra="forbid")

    agentId: Annotated[str, Field(max_length=200)] | None = None
    includeTranscripts: bool = False
    includePostAnalysis: bool = False
    limit: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which calls are meant."""

    states: tuple[ItemState, ...] = PLACED
    batch: str | None = None
    agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    nothing: bool = False

    def takes(self, batch: Batch) -> bool:
        """Whether a batch's calls are meant. A range of dates is about when the batch was accepted."""
        if self.agent is not None and batch.notes.get("agentId") != self.agent:
            return False
        since, until = self.since or batch.created_at, self.until or batch.created_at
        return since <= batch.created_at <= until


_LISTED = said(s200=list[HistoryCall])
_LISTED[200]["headers"] = {
    "X-Total-Count": {"schema": {"type": "integer"}, "description": "How many calls were counted"},
    "X-Has-More": {"schema": {"type": "boolean"}, "description": "Whether there are calls behind this page"},
}


@router.get("", summary="List call histories", operation_id="listCallHistory", responses=_LISTED)
async def list_history(
    ctx: Ctx,
    page: Annotated[str | None, Query(description="1-based; default 1")] = None,
    limit: Annotated[str | None, Query(description="Default 10, at most 100")] = None,
    agentId: str | None = None,
    batchId: Annotated[str | None, Query(description="The calls of one batch")] = None,
    status: Annotated[str | None, Query(description="active, completed or failed")] = None,
    direction: Annotated[str | None, Query(description="outbound; there are no inbound calls")] = None,
    callType: Annotated[str | None, Query(description="sip; there are no web calls")] = None,
    search: Annotated[str | None, Query(description="A phone number, in full")] = None,
    callIds: Annotated[str | None, Query(description="A JSON array of ids")] = None,
    dateRange: Annotated[str | None, Query(description='JSON: {"from": …, "to": …}')] = None,
    pathwayId: Annotated[str | None, Query(description="There are no pathways, so nothing matches")] = None,
    postAnalysis: Annotated[str | None, Query(description="There is no analysis, so nothing matches")] = None,
) -> Response:
    """Calls that were placed, newest batch first.

    `X-Has-More` says whether there are more behind this page. `X-Total-Count` is how many there are in all if there
    are no more; else it is how many were counted until that was sure, at least one more than were shown so far.
    """
    number, size = formats.positive("page", page, 1), formats.positive("limit", limit, 10, 100)
    never = pathwayId or postAnalysis or direction not in (None, "outbound") or callType not in (None, "sip")
    wanted = _wanted(status, batchId, agentId, dateRange, bool(never))
    if callIds or search:
        found = await (_by_ids(ctx, callIds) if callIds else _by_number(ctx, search or ""))
        found = [(batch, item) for batch, item in found if not wanted.nothing and item.state in wanted.states]
        total, shown = len(found), found[(number - 1) * size : number * size]
    else:
        total, shown = await _page(ctx, wanted, (number - 1) * size, size)
    more = "true" if total > number * size else "false"
    headers = {"x-total-count": str(total), "x-has-more": more}
    return Answer([history_call(batch, item) for batch, item in shown], headers=headers)


@router.get(
    "/metrics", summary="Call history metrics", operation_id="callHistoryMetrics", responses=said(s200=HistoryMetrics)
)
async def metrics(
    ctx: Ctx, agentId: str | None = None, batchId: str | None = None, dateRange: str | None = None
) -> Response:
    """Sums over the workspace's calls."""
    wanted = _wanted(None, batchId, agentId, dateRange, False)
    total = completed = failed = 0
    seconds = 0.0
    async for batch in _batches(ctx, wanted, _ALL):
        counts = batch.counts
        total += counts.active + counts.succeeded + counts.failed
        completed += counts.succeeded
        failed += counts.failed
        seconds += counts.succeeded_seconds
    answer: HistoryMetrics = {
        "totalCalls": total,
        "completedCalls": completed,
        "failedCalls": failed,
        "averageDuration": round(seconds / completed, 1) if completed else 0,
        "totalCost": 0,
    }
    return Answer(answer)


@router.post(
    "/export-csv",
    summary="Export call history",
    operation_id="exportCallHistory",
    responses={**file_answer("text/csv"), **WITH_BODY},
)
async def export(ctx: Ctx, body: ExportBody | None = None) -> Response:
    """The calls that were placed, as CSV."""
    asked = body or ExportBody()
    wanted = _wanted(None, None, asked.agentId, None, False)
    return await streamed(_csv(ctx, wanted, asked), "text/csv", attachment("call-history.csv"))


@router.get(
    "/{callHistoryId}",
    summary="Get a specific call history",
    operation_id="getCallHistory",
    responses=said(s200=HistoryCall, s404=out.CallNotFound),
)
async def get(ctx: Ctx, callHistoryId: RecordId) -> Response:
    """One call, with its transcript."""
    found = await _find(ctx, callHistoryId)
    return not_found() if found is None else Answer(history_call(*found))


recordings = new_router("Call history")


@recordings.get(
    "/v2/api/recordings/{recordId}",
    summary="A recording",
    operation_id="getRecording",
    responses={**recording_answers(), **said(s404=out.CallNotFound)},
)
async def recording(ctx: Ctx, recordId: RecordId) -> Response:
    """The sound of one call. A `Range` of bytes is answered with that part."""
    found = await _find(ctx, recordId)
    return not_found() if found is None else await recording_of(ctx, found[1])


async def _find(ctx: Context, job_id: str) -> tuple[Batch, Item] | None:
    try:
        ident, seq = convert.call_in(job_id if job_id.startswith(convert.CALL_PREFIX) else convert.CALL_PREFIX + job_id)
        batch = await ctx.services.store.batch(ident, ctx.workspace)
        return (batch, await ctx.services.store.item(ident, seq)) if convert.is_calls(batch) else None
    except NotFound:
        return None


async def _by_ids(ctx: Context, text: str | None) -> list[tuple[Batch, Item]]:
    ids = _json("callIds", text or "[]", list)
    if len(ids) > _PAGE:
        raise BadRequest(f"callIds: {len(ids)} ids; at most {_PAGE} are taken")
    found = [await _find(ctx, ident) for ident in ids if isinstance(ident, str)]
    return [one for one in found if one is not None]


async def _by_number(ctx: Context, number: str) -> list[tuple[Batch, Item]]:
    found, batches = [], dict[str, Batch]()
    for item in await ctx.services.store.by_ref(ctx.workspace, number.strip()):
        if item.batch not in batches:
            batches[item.batch] = await ctx.services.store.batch(item.batch, ctx.workspace)
        if convert.is_calls(batches[item.batch]):
            found.append((batches[item.batch], item))
    return found


def _wanted(
    status: str | None, batch: str | None, agent: str | None, dates: str | None, nothing: bool
) -> HistoryFilter:
    if status and status not in (*STATES, "all"):
        raise BadRequest(f"status: {status[:40]!r} is none of all, {', '.join(STATES)}")
    since = until = None
    if dates:
        given = _json("dateRange", dates, dict)
        for name in given:
            if name not in _RANGE:
                raise BadRequest(f"dateRange: there is no {name[:40]!r} in it; there are {', '.join(_RANGE)}")
        since, until = (_date(given.get(a) or given.get(b)) for a, b in (("from", "startDate"), ("to", "endDate")))
    states = STATES.get(status or "", PLACED)
    try:
        ident = convert.batch_in(batch) if batch else None
        named = convert.agent_out(convert.agent_in(agent)) if agent else None
    except NotFound:
        return HistoryFilter(nothing=True)
    return HistoryFilter(states, ident, named, since, until, nothing)


def _json(name: str, text: str, kind: type) -> Any:
    try:
        found = read_json(text.encode())
    except Unfit as error:
        raise BadRequest(f"{name}: {error.what}") from None
    except ValueError:
        found = None
    if not isinstance(found, kind):
        what = "array" if kind is list else "object"
        raise BadRequest(f"{name}: must be a JSON {what} as text")
    value: Any = found
    if any(map(is_blank, value.values() if kind is dict else value)):
        raise BadRequest(f"{name}: one of its texts is empty; give it a value or leave it out")
    return value


def _date(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        if isinstance(value, (int, float)):
            found = datetime.fromtimestamp(value / 1000, UTC)
        else:
            found = datetime.fromisoformat(str(value))
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        return max(found, _NOTHING_BEFORE)
    except (ValueError, OverflowError, OSError):
        raise BadRequest("dateRange: takes dates such as 2026-12-01 or times in RFC 3339") from None


async def _batches(ctx: Context, wanted: HistoryFilter, piece: int) -> AsyncGenerator[Batch, None]:
    """The batches that are meant, newest first, each read once."""
    store = ctx.services.store
    if wanted.nothing:
        return
    if wanted.batch is not None:
        try:
            one = await store.batch(wanted.batch, ctx.workspace)
        except NotFound:
            return
        if convert.is_calls(one) and wanted.takes(one):
            yield one
        return
    before: str | None = None
    while True:
        found, _ = await store.batches(ctx.workspace, kind=KIND, origin=None, before=before, limit=piece)
        for batch in found:
            if wanted.since is not None and batch.created_at < wanted.since - _OUT_OF_ORDER:
                return
            if wanted.takes(batch):
                yield batch
        if len(found) < piece:
            return
        before = found[-1].id


async def _page(ctx: Context, wanted: HistoryFilter, skip: int, size: int) -> tuple[int, list[tuple[Batch, Item]]]:
    """How many calls were counted, and those of one page. Counts are of whole batches, no call is read for them; they
    end as soon as it is sure that there is a call behind the page."""
    total, shown = 0, list[tuple[Batch, Item]]()
    async with aclosing(_batches(ctx, wanted, _PAGE)) as batches:
        async for batch in batches:
            for state in wanted.states:
                count = matching(batch.counts, state)
                first = max(0, skip - total)
                if len(shown) < size and first < count:
                    now, items = await ctx.services.store.items(batch.id, state, offset=first, limit=size - len(shown))
                    shown += [(now, item) for item in items]
                total += count
            if total > skip + size:
                break
    return total, shown


async def _csv(ctx: Context, wanted: HistoryFilter, body: ExportBody) -> AsyncIterator[bytes]:
    yield csv_row(HEADER)
    left = body.limit or 1_000_000
    async for batch in _batches(ctx, wanted, _ALL):
        for state in wanted.states:
            after = -1
            while left > 0:
                now, items = await ctx.services.store.items(batch.id, state, after=after, limit=min(_PAGE * 5, left))
                if not items:
                    break
                after, left = items[-1].seq, left - len(items)
                yield b"".join(
                    csv_row(cells(now, item, body.includeTranscripts, body.includePostAnalysis)) for item in items
                )
