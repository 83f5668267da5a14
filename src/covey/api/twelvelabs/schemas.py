"""The shapes of this API's answers (`contracts/twelvelabs.md` sections 3 to 6 and 9), as typed dictionaries: the API
document is generated from them. Times are RFC 3339."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from covey.api.trillet.schemas import closed
from covey.api.twelvelabs.words import BatchWord, ModeWord, TaskWord


@closed
class Problem(TypedDict):
    """What is wrong: a code for programs, a sentence for people."""

    code: str
    message: str
    details: NotRequired[dict[str, Any]]


@closed
class Nested(TypedDict):
    """An error of the batch routes; everywhere the shape of 503 and 504."""

    error: Problem


@closed
class Both(TypedDict):
    """An error in both shapes."""

    error: Problem
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
