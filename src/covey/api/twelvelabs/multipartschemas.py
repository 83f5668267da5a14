"""The bodies and answers of uploads in parts (`contracts/twelvelabs.md` section 9.1), in the words of the SDKs."""

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from covey.analysis.multiparts import Status
from covey.api.trillet.schemas import closed
from covey.api.twelvelabs.requests import Part, Text
from covey.api.twelvelabs.schemas import PageInfo

MOST_ADDRESSES = 1000
"""Addresses that are given out at once."""

MOST_REPORTED = 1000


class NewUpload(Part):
    """A file that is to come in parts."""

    filename: Text
    type: Literal["video", "audio", "image"]
    total_size: Annotated[int, Field(ge=1, description="Bytes")]
    enable_hls: Annotated[bool | None, Field(description="Taken, and without effect")] = None
    enable_thumbnail: Annotated[bool | None, Field(description="Taken, and without effect")] = None
    user_metadata: Annotated[dict[str, Any] | None, Field(description="Kept with the asset")] = None


class CompletedChunk(Part):
    """A chunk that was uploaded."""

    chunk_index: Annotated[int, Field(description="From 1")]
    proof: Annotated[str, Field(max_length=200, description="The ETag that the chunk was answered")]
    proof_type: Literal["etag"]
    chunk_size: Annotated[int, Field(description="Bytes")]


class ChunkReport(Part):
    """Chunks that were uploaded, in any order."""

    completed_chunks: Annotated[list[CompletedChunk], Field(min_length=1, max_length=MOST_REPORTED)]


class MoreAddresses(Part):
    """A row of chunks."""

    start: Annotated[int, Field(ge=1, description="The first chunk, from 1")]
    count: Annotated[int, Field(ge=1, le=MOST_ADDRESSES)]


@closed
class ChunkAddress(TypedDict):
    """Where a chunk is to be PUT, without a key. The answer's `ETag` is its proof."""

    chunk_index: int
    url: str
    expires_at: str


@closed
class UploadCreated(TypedDict):
    """An upload that may begin. Every chunk but the last has `chunk_size` bytes."""

    upload_id: str
    asset_id: str
    upload_urls: list[ChunkAddress]
    upload_headers: dict[str, str]
    chunk_size: int
    total_chunks: int
    expires_at: str


@closed
class Addresses(TypedDict):
    """Addresses of chunks; `count` is how many there are."""

    upload_id: str
    start_index: int
    count: int
    upload_urls: list[ChunkAddress]
    generated_at: str
    expires_at: str


@closed
class ChunksReported(TypedDict):
    """What a report came to; `url` is the asset's once all chunks were reported."""

    url: str | None
    asset_id: str
    processed_chunks: int
    duplicate_chunks: int
    total_completed: int


@closed
class ChunkState(TypedDict):
    """A chunk; `pending` until it is uploaded and reported."""

    index: int
    status: Literal["completed", "pending"]
    uploaded_at: str | None
    updated_at: str | None


@closed
class UploadState(TypedDict):
    """An upload, with a page of its chunks."""

    upload_id: str
    status: Status
    uploaded_chunks: list[ChunkState]
    chunks_completed: int
    chunks_failed: int
    chunks_pending: int
    page_info: PageInfo
    total_size: int
    uploaded_size: int
    created_at: str
    updated_at: str


@closed
class UploadSummary(TypedDict):
    """An upload that is not complete."""

    upload_id: str
    status: Status
    total_size: int
    chunk_size: int
    total_chunks: int
    created_at: str
    expires_at: str


@closed
class UploadPage(TypedDict):
    """A page of uploads, newest first."""

    data: list[UploadSummary]
    page_info: PageInfo
