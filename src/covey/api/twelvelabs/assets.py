"""Assets: uploads, their state, their end (contract 9.1). Errors are flat."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import Path as PathParameter
from fastapi import Query, Response
from starlette.requests import Request

from covey.analysis.assets import DIRECT, URL, Intake
from covey.analysis.file_types import KINDS
from covey.analysis.inspection import TOO_LARGE
from covey.api.kit.blank import EMPTY_FROM_SDK
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer, BodyTooLarge
from covey.api.kit.forms import FILE, Form, read_form
from covey.api.kit.idempotency import idempotent
from covey.api.kit.json_text import Unfit, read_json
from covey.api.kit.openapi import Responses, multipart, parameters
from covey.api.twelvelabs import convert
from covey.api.twelvelabs import schemas as out
from covey.api.twelvelabs.schemas import Flat
from covey.api.twelvelabs.shapes import family, flat
from covey.domain.asset import Asset, AssetState
from covey.domain.errors import BadRequest, NotFound, Unavailable
from covey.domain.ids import new_id
from covey.domain.run import Json
from covey.engine.submission import settled
from covey.settings import Limits

LONGEST_NAME = 255
INVALID, MISSING = "parameter_invalid", "parameter_not_provided"
COLLECTION = "assets"

router = family("Assets")
AssetId = Annotated[str, PathParameter(description="24 hex digits")]

NO_ROOM = {"model": Flat, "description": "The server has no room for the file now"}
_FORM = multipart(
    {
        "method": {"type": "string", "enum": [DIRECT, URL]},
        "file": {"type": "string", "format": "binary", "description": "With `direct`"},
        "url": {"type": "string", "description": "With `url`"},
        "filename": {"type": "string"},
        "enable_hls": {"type": "string", "enum": ["true", "false"], "description": "Taken, and without effect"},
        "enable_thumbnail": {"type": "string", "enum": ["true", "false"], "description": "Taken, and without effect"},
        "user_metadata": {"type": "string", "description": "A JSON object that is kept with the asset"},
    },
    ("method",),
)


@router.post(
    "/assets",
    summary="Create an asset",
    operation_id="createAsset",
    status_code=201,
    responses={
        201: {"model": out.AssetOut, "description": "It is there, and is being looked at"},
        **flat(408, 409, 413, 422),
        507: NO_ROOM,
    },
    openapi_extra=_FORM,
)
async def create_asset(ctx: Ctx) -> Response:
    """Upload a file, or name the address of one. The asset is `processing` until it was looked at. With the same
    Idempotency-Key it is done once."""
    intake, settings = intake_of(ctx), ctx.services.settings
    spooled = intake.files.spooled()
    most = settings.analysis.direct_bytes
    try:
        upload = await read_upload(ctx.request, spooled, most, settings.limits)
    except BodyTooLarge:
        raise FAULTS.too_large(most) from None
    async with upload:
        values = {"fields": upload.fields, "name": upload.name, "file": upload.sha256}

        async def work(ident: str) -> Answer:
            asset = await intake.make_asset(ctx.workspace, file=upload.path, ident=ident, **_meaning(upload))
            return Answer(asset_out(asset), 201)

        async def recover(ident: str) -> Answer | None:
            asset = await intake.made_asset(ctx.workspace, ident)
            return None if asset is None else Answer(asset_out(asset), 201)

        ident = new_id(ctx.services.clock.now())
        return await idempotent(ctx, values, work, ident, recover, keep_refusals=False)


@router.get(
    "/assets",
    summary="List assets",
    operation_id="listAssets",
    responses={200: {"model": out.AssetPage, "description": "A page; past the end an empty one"}},
    openapi_extra=parameters(
        page="1-based",
        page_limit="10 unless said, at most 50",
        asset_ids="Only these; repeatable",
        asset_types=f"Only of these kinds: {', '.join(KINDS)}; repeatable",
        filename="A part of the name, in any case",
    ),
)
async def list_assets(ctx: Ctx) -> Response:
    """The assets of the workspace, newest first. A page past the end is empty."""
    number, size = convert.page_of(ctx)
    query = ctx.request.query_params
    kinds = query.getlist("asset_types")
    for kind in kinds:
        if kind not in KINDS:
            raise BadRequest(f"asset_types: {kind[:40]!r} is none of {', '.join(KINDS)}", code=INVALID)
    named = query.getlist("asset_ids")
    among = [ident for ident in map(convert.identifier, named) if ident is not None] if named else None
    found, total = await ctx.services.store.assets(
        ctx.workspace,
        among=among,
        kinds=kinds or None,
        name=query.get("filename"),
        offset=(number - 1) * size,
        limit=size,
    )
    answer: out.AssetPage = {
        "data": [asset_out(asset) for asset in found],
        "page_info": {
            "limit_per_page": size,
            "page": number,
            "total_page": -(-total // size),
            "total_results": total,
        },
    }
    return Answer(answer)


@router.get(
    "/assets/{asset_id}",
    summary="Retrieve an asset",
    operation_id="getAsset",
    responses={200: {"model": out.AssetOut, "description": "The asset"}, **flat(404)},
)
async def retrieve_asset(ctx: Ctx, asset_id: AssetId) -> Response:
    """An asset, and what was found in it."""
    try:
        return Answer(asset_out(await ctx.services.store.asset(ctx.workspace, _ident(asset_id))))
    except NotFound:
        raise convert.nothing_of(asset_id, COLLECTION) from None


@router.delete(
    "/assets/{asset_id}",
    summary="Delete an asset",
    operation_id="deleteAsset",
    status_code=204,
    responses={204: {"description": "It is gone, its file too"}, **flat(404)},
)
async def delete_asset(
    ctx: Ctx, asset_id: AssetId, force: Annotated[str | None, Query(description="Taken, and without effect")] = None
) -> Response:
    """Remove an asset. Items about it whose turn comes later fail with `asset_unavailable`."""
    try:
        await intake_of(ctx).delete(ctx.workspace, _ident(asset_id))
    except NotFound:
        raise convert.nothing_of(asset_id, COLLECTION) from None
    return Response(status_code=204)


METADATA = "/assets/{asset_id}/user-metadata"
_CHANGED: Responses = {204: {"description": "It is changed"}, **flat(404)}
_BODY: Responses = {**_CHANGED, **flat(408, 413)}


@router.put(
    METADATA,
    summary="Replace an asset's user metadata",
    operation_id="replaceAssetUserMetadata",
    status_code=204,
    responses=_BODY,
)
async def replace_metadata(ctx: Ctx, asset_id: AssetId, body: out.MetadataIn) -> Response:
    """Put other metadata in the place of all there is. Keys with nothing in them are left out."""
    given = kept_notes(body.user_metadata)
    return await _changed(ctx, asset_id, lambda _: given)


@router.patch(
    METADATA,
    summary="Update an asset's user metadata",
    operation_id="updateAssetUserMetadata",
    status_code=204,
    responses=_BODY,
)
async def update_metadata(ctx: Ctx, asset_id: AssetId, body: out.MetadataIn) -> Response:
    """Change the keys that are named: null removes one, an empty string or list changes nothing."""
    given = kept_notes(body.user_metadata)
    gone = {name for name, value in body.user_metadata.items() if value is None}
    return await _changed(
        ctx, asset_id, lambda now: {**{name: value for name, value in now.items() if name not in gone}, **given}
    )


@router.delete(
    METADATA,
    summary="Delete an asset's user metadata",
    operation_id="deleteAssetUserMetadata",
    status_code=204,
    responses=_CHANGED,
)
async def delete_metadata(ctx: Ctx, asset_id: AssetId) -> Response:
    """Remove all metadata of an asset; the asset stays."""
    return await _changed(ctx, asset_id, lambda _: {})


async def _changed(ctx: Context, asset_id: str, turn: Callable[[Json], Json]) -> Response:
    most = ctx.services.settings.limits.field_bytes

    def change(now: Json) -> Json:
        made = turn(now)
        if len(orjson.dumps(made)) > most:
            raise BadRequest(f"user_metadata: all of it together is larger than {most:,} bytes")
        return made

    try:
        await settled(ctx.services.store.annotate_asset(ctx.workspace, _ident(asset_id), change))
    except NotFound:
        raise convert.nothing_of(asset_id, COLLECTION) from None
    return Response(status_code=204)


class NoAssets(Unavailable):
    """This server keeps no assets."""


def intake_of(ctx: Context) -> Intake:
    """What takes assets in. Raises NoAssets in a server that was wired without."""
    if ctx.services.intake is None:
        raise NoAssets
    return ctx.services.intake


def asset_out(asset: Asset) -> out.AssetOut:
    """An asset on the wire."""
    ready = asset.state is not AssetState.processing
    return {
        "_id": asset.id,
        "method": asset.method,
        "status": asset.state.value,
        "filename": asset.name,
        "file_type": asset.facts.get("file_type"),
        "created_at": convert.time(asset.created_at),
        "user_metadata": dict(asset.notes) or None,
        "size": asset.size,
        "duration": asset.seconds,
        "technical_metadata": asset.facts.get("technical_metadata") if ready else None,
        "hls": None,
        "thumbnail": None,
        "error": {"code": str(asset.facts.get("code", "")), "message": asset.error} if asset.error else None,
    }


def _meaning(upload: Form) -> dict[str, Any]:
    """What a form asks for, as `make_asset` takes it. Raises BadRequest."""
    fields = upload.fields
    method = fields.get("method")
    if method is None:
        raise BadRequest("method: it is missing; it is direct or url", code=MISSING)
    if method not in (DIRECT, URL):
        raise BadRequest(f"method: {method[:40]!r} is neither direct nor url", code=INVALID)
    for name in ("enable_hls", "enable_thumbnail"):
        if fields.get(name, "true").lower() not in ("true", "false"):
            raise BadRequest(f"{name}: {fields[name][:40]!r} is neither true nor false", code=INVALID)
    url = fields.get("url")
    wanted, other = (upload.path, url) if method == DIRECT else (url, upload.path)
    if wanted is None:
        raise BadRequest(f"{FILE if method == DIRECT else URL}: method {method} needs it", code=MISSING)
    if other is not None:
        raise BadRequest(f"{URL if method == DIRECT else FILE}: method {method} does not take it", code=INVALID)
    if method == DIRECT and not upload.size:
        raise BadRequest("file: it is empty", code=INVALID)
    name = fields.get("filename") or upload.name
    if not name and method == DIRECT:
        name = "asset"
    return {"name": asset_name(name), "method": method, "url": url, "notes": _notes(fields.get("user_metadata"))}


def asset_name(text: str) -> str:
    """The last part of a name, printable, of a fair length."""
    last = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "".join(sign for sign in last if sign.isprintable())[:LONGEST_NAME]


def _notes(text: str | None) -> Mapping[str, Any]:
    """The owner's JSON. Keys with nothing in them are left out, as the real service does."""
    if text is None:
        return {}
    try:
        notes = read_json(text.encode())
    except Unfit as error:
        raise BadRequest(f"{'.'.join(['user_metadata', *map(str, error.path)])}: {error.what}", code=INVALID) from None
    except ValueError:
        raise BadRequest("user_metadata: it is not valid JSON", code=INVALID) from None
    if not isinstance(notes, dict):
        raise BadRequest("user_metadata: it is not a JSON object", code=INVALID)
    return kept_notes(notes)


def kept_notes(notes: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is kept of an owner's JSON object. Raises BadRequest."""
    for name, value in notes.items():
        fine = isinstance(value, str | int | float | bool | None) or (
            isinstance(value, list) and all(isinstance(one, str) for one in value)
        )
        if not fine:
            said = f"user_metadata.{name[:40]}: neither a string, a number, a boolean nor an array of strings"
            raise BadRequest(said, code=INVALID)
    return {name: value for name, value in notes.items() if value not in (None, "", [])}


def _ident(text: str) -> str:
    """An id as the store has it; NotFound if it cannot be one."""
    ident = convert.identifier(text)
    if ident is None:
        raise NotFound
    return ident


FIELDS = frozenset({"method", "url", "filename", "enable_hls", "enable_thumbnail", "user_metadata"})
INVALID, UNKNOWN = "parameter_invalid", "parameter_unknown"


async def read_upload(request: Request, spooled: Path, most: int, limits: Limits) -> Form:
    """Read a form; its file, of at most `most` bytes, goes to `spooled`, to stay.

    Raises BadRequest, NoRoom; then, and when the client goes away, nothing stays behind.
    """
    return await read_form(request, FIELDS, spooled, most, limits, FAULTS, lasting=True, absent=EMPTY_FROM_SDK)


class _Faults:
    """What is wrong with a form, in this family's codes."""

    def no_form(self) -> BadRequest:
        return BadRequest("The body must be multipart/form-data with the part method, and file or url", code=INVALID)

    def invalid(self, message: str) -> BadRequest:
        return BadRequest(message, code=INVALID)

    def unknown(self, name: str) -> BadRequest:
        known = ", ".join(sorted({*FIELDS, FILE}))
        return BadRequest(f"{name[:100]}: there is no such form field; there are {known}", code=UNKNOWN)

    def too_large(self, most: int) -> BadRequest:
        """It is a 400, which the published SDKs know."""
        return BadRequest(
            f"file: larger than the limit of {most:,} bytes; give larger files by url, or upload them in parts",
            code=TOO_LARGE,
        )


FAULTS = _Faults()
