"""The shapes of this API's answers (`docs/contracts/twelvelabs.md` sections 3 to 6 and 9), as typed dictionaries: the
API document is generated from them. Times are RFC 3339."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from covey.analysis.uploads.parts import Status
from covey.api.kit.schemas import closed
from covey.api.twelvelabs.convert import BatchWord, ModeWord, TaskWord
from covey.api.twelvelabs.requests import BodyPart, Text


@closed
class Flat(TypedDict):
    """What is wrong: a code for programs, a sentence for people."""

    code: str
    message: str
    details: NotRequired[dict[str, Any]]


@closed
class Nested(TypedDict):
    """An error of the batch routes; everywhere the shape of 503 and 504."""

    error: Flat


@closed
class Both(TypedDict):
    """An error in both shapes."""

    error: Flat
    code: str
    message: str


@closed
class Fault(TypedDict):
    """Why an item, a task or a delivery came to nothing."""

    code: NotRequired[str]
    message: str


@closed
class CreatedItem(TypedDict):
    """An item's task."""

    task_id: str
    custom_id: str | None


@closed
class BatchCreated(TypedDict):
    """A batch that was taken; `items` are in the order of `requests`."""

    batch_id: str
    status: BatchWord
    total_items: int
    created_at: str
    expires_at: str | None
    items: list[CreatedItem]


@closed
class HookState(TypedDict):
    """What became of telling one endpoint."""

    url: str
    delivered: bool
    attempts: int
    last_error: NotRequired[str]


@closed
class HoldingState(TypedDict):
    """Why a batch that could go on starts nothing now: a code for programs, a sentence for people."""

    code: str
    message: str
    since: NotRequired[str]


@closed
class BatchOut(TypedDict):
    """A batch as it is now; the counters add up to `total_items`. Covey's own are `paused` (nothing more starts until
    it is resumed), `holding` (null, or what holds it back), `deletes_at`, when it is removed, and money in the unit of
    the workspace's prices: `spent`, and `max_cost` where the create said one."""

    batch_id: str
    analysis_mode: ModeWord
    model_name: str
    status: BatchWord
    total_items: int
    queued_items: int
    processing_items: int
    ready_items: int
    failed_items: int
    canceled_items: int
    paused: bool
    holding: HoldingState | None
    spent: str
    max_cost: NotRequired[str]
    created_at: str
    expires_at: str | None
    completed_at: NotRequired[str]
    canceled_at: NotRequired[str]
    expired_at: NotRequired[str]
    deletes_at: NotRequired[str]
    webhooks: NotRequired[list[HookState]]


@closed
class PageInfo(TypedDict):
    """Which page this is, of how many."""

    page: int
    limit_per_page: int
    total_page: int
    total_results: int


@closed
class BatchPage(TypedDict):
    """A page of batches, newest first; empty past the end."""

    data: list[BatchOut]
    page_info: PageInfo


@closed
class TokensUsed(TypedDict):
    """Tokens as the model reported them; `estimated` if they were counted here."""

    output_tokens: int
    input_tokens: NotRequired[int]
    estimated: NotRequired[bool]


@closed
class Generated(TypedDict):
    """An answer. `data` is text, or a JSON document as text; `made_by` names the analyser."""

    generation_id: str
    data: str
    finish_reason: Literal["stop", "length"]
    usage: TokensUsed
    made_by: NotRequired[str]


@closed
class TaskCreated(TypedDict):
    """A task that was taken, or canceled."""

    task_id: str
    status: TaskWord


@closed
class SystemMetadata(TypedDict):
    """What was found out about a video: its length in seconds."""

    duration: float


@closed
class VideoSource(TypedDict):
    """Where a task's video is."""

    type: Literal["asset_id", "url"]
    asset_id: NotRequired[str]
    url: NotRequired[str]
    system_metadata: NotRequired[SystemMetadata]


@closed
class ItemProgress(TypedDict):
    """How far a task is that is being processed: seconds of its video."""

    seconds_done: float
    seconds: float


@closed
class TaskOut(TypedDict):
    """A task as it is now; `batch_id` only if it is an item of a batch, `progress` (Covey's own) only while it is
    processed."""

    task_id: str
    custom_id: str | None
    batch_id: NotRequired[str]
    status: TaskWord
    created_at: str
    completed_at: NotRequired[str]
    deletes_at: NotRequired[str]
    progress: NotRequired[ItemProgress]
    video_source: VideoSource
    request_params: dict[str, Any]
    result: NotRequired[Generated]
    error: NotRequired[Fault]
    webhooks: NotRequired[list[HookState]]


@closed
class TaskPage(TypedDict):
    """A page of tasks, newest first; empty past the end."""

    data: list[TaskOut]
    page_info: PageInfo


@closed
class Analysed(TypedDict):
    """The answer that was waited for. `error` is a warning, when the answer was cut."""

    id: str
    data: str
    finish_reason: Literal["stop", "length"]
    usage: TokensUsed
    error: NotRequired[Fault]


class MetadataIn(BodyPart):
    """What an owner keeps with an asset: strings, numbers, booleans and lists of strings."""

    user_metadata: dict[str, Any]


class _Identified(TypedDict):
    _id: str


@closed
class AssetOut(_Identified):
    """A file, and what was found in it. There are no playlists and no thumbnails."""

    method: str
    status: str
    filename: str
    file_type: str | None
    created_at: str
    user_metadata: dict[str, Any] | None
    size: int | None
    duration: float | None
    technical_metadata: dict[str, Any] | None
    hls: None
    thumbnail: None
    error: Fault | None


@closed
class AssetPage(TypedDict):
    """A page of assets, newest first."""

    data: list[AssetOut]
    page_info: PageInfo


MOST_ADDRESSES = 1000
"""Addresses that are given out at once."""

MOST_REPORTED = 1000


class NewUpload(BodyPart):
    """A file that is to come in parts."""

    filename: Text
    type: Literal["video", "audio", "image"]
    total_size: Annotated[int, Field(ge=1, description="Bytes")]
    enable_hls: Annotated[bool | None, Field(description="Taken, and without effect")] = None
    enable_thumbnail: Annotated[bool | None, Field(description="Taken, and without effect")] = None
    user_metadata: Annotated[dict[str, Any] | None, Field(description="Kept with the asset")] = None


class CompletedChunk(BodyPart):
    """A chunk that was uploaded."""

    chunk_index: Annotated[int, Field(description="From 1")]
    proof: Annotated[str, Field(max_length=200, description="The ETag that the chunk was answered")]
    proof_type: Literal["etag"]
    chunk_size: Annotated[int, Field(description="Bytes")]


class ChunkReport(BodyPart):
    """Chunks that were uploaded, in any order."""

    completed_chunks: Annotated[list[CompletedChunk], Field(min_length=1, max_length=MOST_REPORTED)]


class MoreAddresses(BodyPart):
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
