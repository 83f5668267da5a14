"""What the workspace used and what it costs: what succeeded, and nothing else."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, NotRequired

from fastapi import Query, Response
from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from covey.api.kit.context import Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.money import money
from covey.api.kit.openapi import new_router, said
from covey.api.trillet.convert import batch_out
from covey.calls.config import KIND as CALLS
from covey.domain.errors import BadRequest
from covey.domain.usage import UsageLine

router = new_router("Usage", "/v1/api")

PARTS = ("day", "batch", "key")


@with_config(ConfigDict(extra="forbid"))
class UsageOut(TypedDict):
    """What was used: items that ended well, seconds of talk or of video, tokens where somebody counted them, and the
    cost, a decimal number in the workspace's unit of money (null without prices)."""

    kind: str
    items: int
    seconds: float
    tokensIn: int
    tokensOut: int
    cost: str | None
    day: NotRequired[str]
    batchId: NotRequired[str]
    keyId: NotRequired[str | None]


@with_config(ConfigDict(extra="forbid"))
class UsageReport(TypedDict):
    """The usage from `since` to `until`, both included, in days of UTC; `totals` has one line for each kind."""

    since: str
    until: str
    lines: list[UsageOut]
    totals: list[UsageOut]


@router.get("/usage", summary="Usage", operation_id="getUsage", responses=said(s200=UsageReport))
async def get_usage(
    ctx: Ctx,
    since: Annotated[str | None, Query(description="The first day, `YYYY-MM-DD`; default this month's first")] = None,
    until: Annotated[str | None, Query(description="The last day; today by default")] = None,
    by: Annotated[list[str] | None, Query(description="What is told apart: `day`, `batch`, `key`, or several")] = None,
) -> Response:
    """Counts what succeeded on the days asked for. What was cancelled or failed is never charged."""
    today = ctx.services.clock.now().date()
    first = _day("since", since, today.replace(day=1))
    last = _day("until", until, max(today, first))
    if last < first:
        raise BadRequest(f"until: {last} is before since, {first}")
    parts = _parts(by or ())
    store, workspace = ctx.services.store, ctx.workspace
    found = await store.usage(workspace, first, last, **{name: name in parts for name in PARTS})
    sums = await store.usage(workspace, first, last) if parts else found
    priced = bool((await ctx.workspace_settings()).settings.get("prices"))
    answer: UsageReport = {
        "since": first.isoformat(),
        "until": last.isoformat(),
        "lines": [_out(line, parts, priced) for line in found],
        "totals": [_out(line, frozenset(), priced) for line in sums],
    }
    return Answer(answer)


def _day(name: str, text: str | None, default: date) -> date:
    if text is None:
        return default
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{name}: must be a day like 2026-07-01, not {text[:40]!r}") from None


def _parts(names: Sequence[str]) -> frozenset[str]:
    parts = frozenset(part.strip() for one in names for part in one.split(",") if part.strip())
    unknown = sorted(parts - set(PARTS))
    if unknown:
        raise BadRequest(f"by: there is no {unknown[0][:40]!r}; there are: {', '.join(PARTS)}")
    return parts


def _out(line: UsageLine, parts: frozenset[str], priced: bool) -> UsageOut:
    found: UsageOut = {
        "kind": line.kind,
        "items": line.items,
        "seconds": round(line.seconds, 3),
        "tokensIn": line.tokens_in,
        "tokensOut": line.tokens_out,
        "cost": money(line.cost) if priced or line.cost else None,
    }
    if "day" in parts and line.day is not None:
        found["day"] = line.day.isoformat()
    if "batch" in parts and line.batch is not None:
        found["batchId"] = batch_out(line.batch) if line.kind == CALLS else line.batch
    if "key" in parts:
        found["keyId"] = line.key
    return found
