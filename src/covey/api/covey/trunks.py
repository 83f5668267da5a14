"""What a workspace may call through, and who the caller of the API is."""

from typing import Literal

from fastapi import Response
from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from covey.api.kit.context import Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.formats import maybe_millis
from covey.api.kit.openapi import new_router, said
from covey.domain.account import Role
from covey.settings import TrunkKind

router = new_router("Server", "/v1/api")


@with_config(ConfigDict(extra="forbid"))
class TrunkOut(TypedDict):
    """A trunk: whether real phones can ring, its limits, and how it is now."""

    name: str
    kind: TrunkKind
    live: bool
    default: bool
    channels: int
    callsPerSecond: float
    active: int
    hours: str | None
    countries: list[str] | None
    working: bool
    problem: str | None
    since: int | None


@with_config(ConfigDict(extra="forbid"))
class Probe(TypedDict):
    """Whose key this is."""

    status: Literal["ok"]
    workspaceId: str
    role: Role
    keyId: str


@router.get("/", summary="Check a key", operation_id="probe", responses=said(s200=Probe))
async def probe(ctx: Ctx) -> Response:
    """200 if key and workspace hold."""
    key = ctx.caller.key
    answer: Probe = {"status": "ok", "workspaceId": ctx.workspace, "role": key.role, "keyId": key.id}
    return Answer(answer)


@router.get("/trunks", summary="List trunks", operation_id="listTrunks", responses=said(s200=list[TrunkOut]))
async def list_trunks(ctx: Ctx) -> Response:
    """The trunks this workspace may use."""
    lanes = {lane.name: lane for lane in await ctx.services.store.lanes()}
    rows: list[TrunkOut] = []
    for trunk in ctx.services.trunks.values():
        if not trunk.open_to(ctx.workspace):
            continue
        lane, settings = lanes.get(trunk.name), trunk.settings
        rows.append(
            {
                "name": trunk.name,
                "kind": settings.kind,
                "live": trunk.live,
                "default": trunk.name == ctx.services.settings.calls.default_trunk,
                "channels": settings.channels,
                "callsPerSecond": settings.calls_per_second,
                "active": lane.active if lane else 0,
                "hours": settings.hours,
                "countries": list(settings.countries) if settings.countries is not None else None,
                "working": lane is None or lane.open_until is None,
                "problem": lane.open_reason if lane else None,
                "since": maybe_millis(lane.open_since) if lane else None,
            }
        )
    return Answer(rows)
