"""Uploads in parts (contract 9.1): begun with a key, their chunks PUT to signed addresses without one, then reported.

An upload's chunks lie on the server that began it (`covey.analysis.uploads.parts`): behind a balancer, all requests
about one upload go to one server.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Path, Response
from starlette.requests import ClientDisconnect, Request

from covey.analysis.file_types import FileType
from covey.analysis.inspection import TOO_LARGE, too_large
from covey.analysis.uploads.parts import ADDRESS_LIFE, COMPLETED, PartUpload
from covey.analysis.uploads.service import ChunkProof, PartUploads
from covey.api.kit.context import Context, Ctx, services_of
from covey.api.kit.errors import Answer
from covey.api.kit.idempotency import idempotent
from covey.api.kit.numerals import Whole
from covey.api.kit.openapi import parameters
from covey.api.twelvelabs import convert
from covey.api.twelvelabs import schemas as out
from covey.api.twelvelabs.assets import INVALID, NO_ROOM, NoAssets, asset_name, intake_of, kept_notes
from covey.api.twelvelabs.schemas import PageInfo
from covey.api.twelvelabs.shapes import PREFIX, family, flat
from covey.domain.errors import BadRequest, NotFound
from covey.domain.ids import new_id

COLLECTION = "multipart-uploads"
PATH = "/assets/multipart-uploads"
FIRST_ADDRESSES = 100
"""So many addresses come with the answer to a create; more are asked for."""

HEADERS = {"Content-Type": "application/octet-stream"}

router = family("Assets")
UploadId = Annotated[str, Path(description="24 hex digits")]


@router.post(
    PATH,
    summary="Begin an upload in parts",
    operation_id="createMultipartUpload",
    status_code=201,
    responses={
        201: {"model": out.UploadCreated, "description": "It may begin, and has 24 hours"},
        **flat(408, 409, 413, 422),
        507: NO_ROOM,
    },
)
async def create_upload(ctx: Ctx, body: out.NewUpload) -> Response:
    """Begin to upload a file in chunks, for files that are too large for one request. Each chunk is PUT to its address,
    without a key; the `ETag` of the answer proves it when it is reported. The asset is `processing` meanwhile. With the
    same Idempotency-Key it is begun once."""
    settings = ctx.services.settings.analysis
    wrong = too_large(FileType(body.type, ""), body.total_size, settings.url_bytes, settings)
    if wrong is not None:
        raise BadRequest(f"total_size: {wrong}", code=TOO_LARGE)
    uploads, notes = uploads_of(ctx), kept_notes(body.user_metadata or {})
    name = asset_name(body.filename) or "asset"

    async def work(ident: str) -> Answer:
        made = await uploads.begin(ident, ctx.workspace, name, body.type, body.total_size, notes)
        return _begun(ctx, uploads, made)

    async def recover(ident: str) -> Answer | None:
        try:
            return _begun(ctx, uploads, await uploads.get(ctx.workspace, ident))
        except NotFound:
            return None

    ident = new_id(ctx.services.clock.now())
    return await idempotent(ctx, body.model_dump(), work, ident, recover, keep_refusals=False)


def _begun(ctx: Context, uploads: PartUploads, made: PartUpload) -> Answer:
    answer: out.UploadCreated = {
        "upload_id": made.id,
        "asset_id": made.id,
        "upload_urls": _addresses(ctx, uploads, made, 1, FIRST_ADDRESSES),
        "upload_headers": HEADERS,
        "chunk_size": made.chunk_bytes,
        "total_chunks": made.chunks,
        "expires_at": convert.time(made.expires_at),
    }
    return Answer(answer, 201)


@router.get(
    PATH,
    summary="List incomplete uploads",
    operation_id="listMultipartUploads",
    responses={200: {"model": out.UploadPage, "description": "A page; past the end an empty one"}},
    openapi_extra=parameters(page="1-based", page_limit="10 unless said, at most 50"),
)
async def list_uploads(ctx: Ctx) -> Response:
    """The uploads of the workspace that are not complete, newest first."""
    number, size = convert.page_of(ctx)
    found = await uploads_of(ctx).of(ctx.workspace)
    now = ctx.services.clock.now()
    data: list[out.UploadSummary] = [
        {
            "upload_id": one.id,
            "status": one.status(now),
            "total_size": one.size,
            "chunk_size": one.chunk_bytes,
            "total_chunks": one.chunks,
            "created_at": convert.time(one.created_at),
            "expires_at": convert.time(one.expires_at),
        }
        for one in found[(number - 1) * size : number * size]
    ]
    answer: out.UploadPage = {"data": data, "page_info": _page(number, size, len(found))}
    return Answer(answer)


@router.get(
    PATH + "/{upload_id}",
    summary="Retrieve an upload in parts",
    operation_id="getMultipartUpload",
    responses={200: {"model": out.UploadState, "description": "The upload, and a page of its chunks"}, **flat(404)},
    openapi_extra=parameters(page="1-based", page_limit="10 unless said, at most 50"),
)
async def retrieve_upload(ctx: Ctx, upload_id: UploadId) -> Response:
    """How an upload stands, and each of its chunks."""
    number, size = convert.page_of(ctx)
    upload = await _upload(ctx, upload_id)
    completed = uploads_of(ctx).completed(upload)
    indexes = range(1, upload.chunks + 1)[(number - 1) * size : number * size]
    answer: out.UploadState = {
        "upload_id": upload.id,
        "status": upload.status(ctx.services.clock.now()),
        "uploaded_chunks": [_chunk(upload, index, index in completed) for index in indexes],
        "chunks_completed": len(completed),
        "chunks_failed": 0,
        "chunks_pending": upload.chunks - len(completed),
        "page_info": _page(number, size, upload.chunks),
        "total_size": upload.size,
        "uploaded_size": sum(map(upload.length, completed)),
        "created_at": convert.time(upload.created_at),
        "updated_at": convert.time(upload.updated_at),
    }
    return Answer(answer)


@router.post(
    PATH + "/{upload_id}",
    summary="Report chunks",
    operation_id="reportChunks",
    responses={
        200: {"model": out.ChunksReported, "description": "They are noted; with the last one the asset has its file"},
        **flat(404, 408, 409, 413, 422),
        507: NO_ROOM,
    },
)
async def report_chunks(ctx: Ctx, upload_id: UploadId, body: out.ChunkReport) -> Response:
    """Report chunks that were uploaded, all or none. Reporting them again does nothing."""
    upload = await _upload(ctx, upload_id)
    proofs = [ChunkProof(one.chunk_index, one.proof.strip('"'), one.chunk_size) for one in body.completed_chunks]

    async def work(_: str) -> Answer:
        try:
            report = await uploads_of(ctx).report(ctx.workspace, upload.id, proofs)
        except NotFound:
            raise convert.nothing_of(upload_id, COLLECTION) from None
        complete = report.upload.state == COMPLETED
        answer: out.ChunksReported = {
            "url": f"{_base(ctx.request)}/assets/{upload.id}" if complete else None,
            "asset_id": upload.id,
            "processed_chunks": report.processed,
            "duplicate_chunks": report.duplicates,
            "total_completed": uploads_of(ctx).done(report.upload),
        }
        return Answer(answer)

    return await idempotent(ctx, body.model_dump(), work, keep_refusals=False)


@router.post(
    PATH + "/{upload_id}/presigned-urls",
    summary="Get addresses of chunks",
    operation_id="getChunkAddresses",
    responses={
        200: {"model": out.Addresses, "description": "The addresses, good for an hour"},
        **flat(404, 408, 409, 413, 422),
    },
)
async def more_addresses(ctx: Ctx, upload_id: UploadId, body: out.MoreAddresses) -> Response:
    """New addresses for a row of chunks, for those that had none and those whose hour is over."""
    upload, uploads, now = await _upload(ctx, upload_id), uploads_of(ctx), ctx.services.clock.now()
    uploads.check_active(upload)
    if body.start > upload.chunks:
        raise BadRequest(f"start: it is from 1 to {upload.chunks}", code=INVALID)

    async def work(_: str) -> Answer:
        given = _addresses(ctx, uploads, upload, body.start, body.count)
        answer: out.Addresses = {
            "upload_id": upload.id,
            "start_index": body.start,
            "count": len(given),
            "upload_urls": given,
            "generated_at": convert.time(now),
            "expires_at": convert.time(min(now + ADDRESS_LIFE, upload.expires_at)),
        }
        return Answer(answer)

    return await idempotent(ctx, body.model_dump(), work, keep_refusals=False)


@router.put(
    PATH + "/{upload_id}/chunks/{index}",
    include_in_schema=False,
    openapi_extra={
        "requestBody": {"content": {HEADERS["Content-Type"]: {}}},
        **parameters(expires="Until when the address is good", signature="Whose it is"),
    },
)
async def put_chunk(request: Request, upload_id: str, index: Annotated[Whole, Path()]) -> Response:
    """Take a chunk, for whoever has its address: the door lets these requests in without a key."""
    intake = services_of(request).intake
    if intake is None:
        raise NoAssets
    query = request.query_params
    upload = await intake.uploads.admit(upload_id, index, query.get("expires", ""), query.get("signature", ""))
    try:
        etag = await intake.uploads.put(upload, index, _body(request))
    except NotFound:
        raise convert.nothing_of(upload_id, COLLECTION) from None
    return Response(headers={"etag": f'"{etag}"'})


async def _body(request: Request) -> AsyncIterator[bytes]:
    """The body; BadRequest if the client went away."""
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise BadRequest("The connection was closed before the chunk was complete", code="client_left") from None


def uploads_of(ctx: Context) -> PartUploads:
    """The uploads in parts of this server. Raises NoAssets."""
    return intake_of(ctx).uploads


async def _upload(ctx: Context, upload_id: str) -> PartUpload:
    try:
        return await uploads_of(ctx).get(ctx.workspace, upload_id.lower())
    except NotFound:
        raise convert.nothing_of(upload_id, COLLECTION) from None


def _addresses(ctx: Context, uploads: PartUploads, upload: PartUpload, start: int, count: int) -> list[Any]:
    """The addresses of a row of chunks, at the host that was asked."""
    base, found = f"{_base(ctx.request)}{PATH}/{upload.id}/chunks", list[out.ChunkAddress]()
    for index in range(start, min(start + count, upload.chunks + 1)):
        expires, signature = uploads.address(upload, index)
        url = f"{base}/{index}?expires={expires.timestamp():.0f}&signature={signature}"
        found.append({"chunk_index": index, "url": url, "expires_at": convert.time(expires)})
    return found


def _base(request: Request) -> str:
    """Where this API is, for whoever asks: the host that was named, and the scheme that the server vouches for."""
    return str(request.base_url).rstrip("/") + PREFIX


def _chunk(upload: PartUpload, index: int, completed: bool) -> out.ChunkState:
    at = convert.time(upload.reported[index].at) if completed else None
    return {"index": index, "status": "completed" if completed else "pending", "uploaded_at": at, "updated_at": at}


def _page(number: int, size: int, total: int) -> PageInfo:
    return {"limit_per_page": size, "page": number, "total_page": -(-total // size), "total_results": total}
