"""Workspaces and keys, for keys of role `admin`. A secret is shown once, in the answer that makes the key."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, NotRequired

import orjson
from fastapi import Path, Query, Response
from pydantic import AfterValidator, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from covey.api.kit import schemas
from covey.api.kit.auth import make_key
from covey.api.kit.blank import Fields
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.formats import iso, moment
from covey.api.kit.idempotency import idempotent
from covey.api.kit.money import WorkspacePrices
from covey.api.kit.numerals import Real, Whole
from covey.api.kit.openapi import POSTED, WITH_BODY, new_router, said
from covey.calls.intake import OnInvalid
from covey.domain.account import Key, Role, Workspace
from covey.domain.errors import BadRequest, NotFound
from covey.domain.ids import new_id
from covey.engine.submission import settled
from covey.settings.regions import check_region

router = new_router("Administration", "/v1/admin")

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Weight = Annotated[Real, Field(gt=0, le=1000)]
WorkspaceId = Annotated[str, Path(description="A workspace's id")]


Region = Annotated[str, Field(pattern="^[A-Z]{2}$"), AfterValidator(check_region)]


class WorkspaceDefaults(Fields):
    """What a workspace's batches use where their form says nothing."""

    model_config = ConfigDict(extra="forbid")

    region: Region | None = None
    country: Region | None = None
    onInvalid: OnInvalid | None = None
    trunk: Annotated[str, Field(pattern="^[a-z0-9_-]{1,40}$")] | None = None
    prices: WorkspacePrices | None = None
    retention_days: Annotated[Whole, Field(ge=1, le=36_500)] | None = None


class NewWorkspace(Fields):
    """A new tenant."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    id: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")] | None = None
    weight: Weight = 1.0
    settings: WorkspaceDefaults = WorkspaceDefaults()


class WorkspaceChange(Fields):
    """What changes; `settings` are replaced field by field, null removes one."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    weight: Weight | None = None
    settings: WorkspaceDefaults | None = None


class NewKey(Fields):
    """A new key. A key of role `admin` belongs to no workspace, every other to one."""

    model_config = ConfigDict(extra="forbid")

    role: Role = Role.operate
    workspace: Annotated[str, Field(max_length=64)] | None = None
    name: Name = "key"
    expiresAt: Annotated[str, Field(max_length=40)] | None = None


@with_config(ConfigDict(extra="forbid"))
class WorkspaceOut(TypedDict):
    """A workspace."""

    id: str
    name: str
    weight: float
    settings: dict[str, Any]
    createdAt: str


@with_config(ConfigDict(extra="forbid"))
class KeyOut(TypedDict):
    """A key: never its secret, but for the one answer that makes it."""

    id: str
    workspace: str | None
    role: Role
    name: str
    prefix: str
    createdAt: str
    lastUsedAt: str | None
    expiresAt: str | None
    revokedAt: str | None
    secret: NotRequired[str | None]


def workspace_out(workspace: Workspace) -> WorkspaceOut:
    """A workspace as the wire has it."""
    return {
        "id": workspace.id,
        "name": workspace.name,
        "weight": workspace.weight,
        "settings": dict(workspace.settings),
        "createdAt": iso(workspace.created_at),
    }


def key_out(key: Key) -> KeyOut:
    """A key as the wire has it."""
    return {
        "id": key.id,
        "workspace": key.workspace,
        "role": key.role,
        "name": key.name,
        "prefix": key.prefix,
        "createdAt": iso(key.created_at),
        "lastUsedAt": _maybe(key.last_used_at),
        "expiresAt": _maybe(key.expires_at),
        "revokedAt": _maybe(key.revoked_at),
    }


def _maybe(at: datetime | None) -> str | None:
    return None if at is None else iso(at)


@router.get(
    "/workspaces", summary="List workspaces", operation_id="listWorkspaces", responses=said(s200=list[WorkspaceOut])
)
async def list_workspaces(ctx: Ctx) -> Response:
    """Every workspace of the server."""
    return Answer([workspace_out(one) for one in await ctx.services.store.workspaces()])


@router.post(
    "/workspaces",
    summary="Create a workspace",
    operation_id="createWorkspace",
    responses={**said(s200=WorkspaceOut), **POSTED, **WITH_BODY},
)
async def create_workspace(ctx: Ctx, body: NewWorkspace) -> Response:
    """Makes a tenant."""
    now = ctx.services.clock.now()
    _check_trunk(ctx, body.settings)

    async def work(ident: str) -> Answer:
        settings = body.settings.model_dump(mode="json", exclude_none=True)
        made = Workspace(body.id or ident, body.name, now, body.weight, settings)
        await settled(ctx.services.store.add_workspace(made))
        return Answer(workspace_out(made))

    async def recover(ident: str) -> Answer | None:
        try:
            return Answer(workspace_out(await ctx.services.store.workspace(body.id or ident)))
        except NotFound:
            return None

    return await idempotent(ctx, body.model_dump(mode="json"), work, new_id(now), recover)


def _check_trunk(ctx: Context, settings: WorkspaceDefaults | None) -> None:
    if settings and settings.trunk and settings.trunk not in ctx.services.trunks:
        known = ", ".join(sorted(ctx.services.trunks))
        raise BadRequest(f"settings.trunk: there is no trunk {settings.trunk!r}; there are: {known}")


_ONE: Any = said(s200=WorkspaceOut, s404=schemas.Problem)


@router.get("/workspaces/{workspaceId}", summary="Get a workspace", operation_id="getWorkspace", responses=_ONE)
async def get_workspace(ctx: Ctx, workspaceId: WorkspaceId) -> Response:
    """One workspace."""
    return Answer(workspace_out(await ctx.services.store.workspace(workspaceId)))


@router.patch(
    "/workspaces/{workspaceId}",
    summary="Change a workspace",
    operation_id="changeWorkspace",
    responses={**_ONE, **WITH_BODY},
)
async def change_workspace(ctx: Ctx, workspaceId: WorkspaceId, body: WorkspaceChange) -> Response:
    """Changes name, weight and defaults."""
    _check_trunk(ctx, body.settings)
    held = await ctx.services.store.workspace(workspaceId)
    given = body.settings.model_dump(mode="json", exclude_unset=True) if body.settings else {}
    settings = {name: value for name, value in {**held.settings, **given}.items() if value is not None}
    changed = replace(held, name=body.name or held.name, weight=body.weight or held.weight, settings=settings)
    await ctx.services.store.change_workspace(changed)
    return Answer(workspace_out(changed))


@router.get("/keys", summary="List keys", operation_id="listKeys", responses=said(s200=list[KeyOut]))
async def list_keys(
    ctx: Ctx, workspace: Annotated[str | None, Query(description="Only those of one workspace")] = None
) -> Response:
    """Every key, the revoked ones too. Secrets are never shown again."""
    return Answer([key_out(key) for key in await ctx.services.store.keys(workspace)])


@router.post(
    "/keys",
    summary="Create a key",
    operation_id="createKey",
    responses={**said(s200=KeyOut, s404=schemas.Problem), **POSTED, **WITH_BODY},
)
async def create_key(ctx: Ctx, body: NewKey) -> Response:
    """Makes a key; `secret` is in this answer and nowhere else. A replayed answer has null there."""
    now = ctx.services.clock.now()
    if (body.role is Role.admin) != (body.workspace is None):
        raise BadRequest("workspace: a key of role admin has none, every other key needs one")
    expires_at = None if body.expiresAt is None else moment("expiresAt", body.expiresAt)
    if expires_at is not None and expires_at <= now:
        raise BadRequest("expiresAt: is in the past")
    if body.workspace is not None:
        await ctx.services.store.workspace(body.workspace)

    async def work(_: str) -> Answer:
        key, secret = make_key(body.workspace, body.role, body.name, now, expires_at)
        await ctx.services.store.add_key(key)
        answer = Answer({**key_out(key), "secret": secret})
        answer.stored = orjson.dumps({**key_out(key), "secret": None})
        return answer

    return await idempotent(ctx, body.model_dump(mode="json"), work)


@router.delete(
    "/keys/{keyId}",
    summary="Revoke a key",
    operation_id="revokeKey",
    responses=said(s200=schemas.Done, s404=schemas.Problem),
)
async def revoke_key(ctx: Ctx, keyId: Annotated[str, Path(description="A key's id")]) -> Response:
    """The key opens nothing from the next request on."""
    if not await ctx.services.store.revoke_key(keyId):
        raise NotFound("There is no key of this id that holds")
    answer: schemas.Done = {"id": keyId, "message": "The key is revoked"}
    return Answer(answer)
