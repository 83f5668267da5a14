"""The shapes of the batch-calls family (contract sections 3 to 8, with the additions of section 12).

They are typed dictionaries: the type checker sees that they are built right, nothing is validated again on the way
out, and the API document is generated from them. A key that is not required is left out when there is nothing to say.
Times are milliseconds since 1970, durations seconds.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from covey.api.kit.schemas import closed

BatchWord = Literal["queued", "processing", "completed", "cancelled", "failed"]
CallWord = Literal["waiting", "active", "completed", "failed", "cancelled"]


@closed
class DuplicateBatch(TypedDict):
    """A conflict with the batch as it is, or with an earlier one."""

    error: str
    message: str
    batchId: NotRequired[str]
    id: NotRequired[str]
    status: NotRequired[BatchWord]
    details: NotRequired["CancelDetails"]


@closed
class BatchNotFound(TypedDict):
    """There is no such batch; `id` is the one that was asked for."""

    error: str
    message: str
    id: NotRequired[str]


@closed
class CallNotFound(TypedDict):
    """There is no such call, or no such batch."""

    status: Literal["not_found"]
    error: str
    message: str


@closed
class BadRowOut(TypedDict):
    """A row that cannot be called: its line in the file, the column at fault, and what would be right."""

    row: int
    column: str | None
    value: str
    code: str
    message: str
    suggestion: str | None


@closed
class StartRefused(TypedDict):
    """Why nothing was started. The first 1,000 bad rows stand in `invalidRows`."""

    error: str
    message: str
    requestId: NotRequired[str]
    invalidRows: NotRequired[list[BadRowOut]]
    invalidCount: NotRequired[int]
    columns: NotRequired[list[str]]
    candidates: NotRequired[list[str]]
    placeholders: NotRequired[list[str]]
    line: NotRequired[int]
    byte: NotRequired[int]


@closed
class Started(TypedDict):
    """A batch that was accepted."""

    batchId: str
    totalCalls: int
    status: BatchWord
    message: str
    trunk: str
    live: bool
    duplicates: int
    duplicatesSkipped: int
    invalidCount: int
    scheduledAt: NotRequired[int]
    warnings: NotRequired[list[str]]


@closed
class ValidationReport(TypedDict):
    """What a start with this form would find. `ok` says whether it would be accepted."""

    ok: bool
    message: str
    totalCalls: int
    invalidCount: int
    invalidByCode: dict[str, int]
    invalidRows: list[BadRowOut]
    duplicates: int
    duplicatesSkipped: bool
    emptyLines: int
    columns: list[str]
    phoneColumn: str
    separator: str
    encoding: str
    cutOffAt: int | None
    trunk: str
    live: bool
    warnings: list[str]


@closed
class RecentCall(TypedDict):
    """One of the calls that ended last."""

    jobId: str
    status: CallWord
    phone_number: str
    completedAt: NotRequired[int]
    failedAt: NotRequired[int]
    duration: NotRequired[int]
    outcome: NotRequired[str]
    error: NotRequired[str]
    errorCode: NotRequired[str]


@closed
class HoldingOut(TypedDict):
    """Why a batch that could go on starts nothing now."""

    code: str
    message: str
    since: int | None


@closed
class Progress(TypedDict):
    """The counts of a batch; the five add up to `total`. `averageCallDuration` is over completed calls."""

    waiting: int
    active: int
    completed: int
    failed: int
    cancelled: int
    total: int
    startTime: int | None
    lastCompletedTime: int | None
    completedTime: int | None
    averageCallDuration: float
    recent_calls: list[RecentCall]


@closed
class BatchStatus(TypedDict):
    """A batch as it is at `timestamp`."""

    id: str
    status: BatchWord
    isComplete: bool
    totalCalls: int
    progress: Progress
    timestamp: int
    name: str | None
    createdAt: int
    scheduledAt: int | None
    expiresAt: int | None
    paused: bool
    trunk: str
    live: bool
    agentId: str
    maxConcurrent: int | None
    callsPerSecond: float | None
    outcomes: dict[str, int]
    holding: HoldingOut | None
    maxCost: str | None
    spent: str
    deletesAt: int | None
    error: NotRequired[str]


@closed
class BatchProgress(TypedDict):
    """A batch's progress, flat."""

    status: BatchWord
    isComplete: bool
    waiting: int
    active: int
    completed: int
    failed: int
    cancelled: int
    total: int
    startTime: int | None
    lastCompletedTime: int | None
    completedTime: int | None
    averageCallDuration: float
    recent_calls: list[RecentCall]
    name: str | None
    scheduledAt: int | None
    paused: bool
    trunk: str
    live: bool
    outcomes: dict[str, int]
    holding: HoldingOut | None
    maxCost: str | None
    spent: str
    deletesAt: int | None
    error: NotRequired[str]


@closed
class BatchRow(TypedDict):
    """A batch in the list of batches."""

    id: str
    status: BatchWord
    isComplete: bool
    totalCalls: int
    waiting: int
    active: int
    completed: int
    failed: int
    cancelled: int
    name: str | None
    createdAt: int
    scheduledAt: int | None
    startTime: int | None
    completedTime: int | None
    paused: bool
    trunk: str
    live: bool
    agentId: str
    outcomes: dict[str, int]
    holding: HoldingOut | None
    maxCost: str | None
    spent: str
    deletesAt: int | None
    error: NotRequired[str]


@closed
class Pagination(TypedDict):
    """Where a page stands. `after` is the cursor for the next one, for depth."""

    page: int
    limit: int
    total: int
    totalPages: int
    hasNext: bool
    hasPrev: bool
    after: NotRequired[str]


@closed
class BatchList(TypedDict):
    """A page of batches, newest first."""

    batches: list[BatchRow]
    pagination: Pagination


@closed
class Attempt(TypedDict):
    """An earlier attempt of the same call."""

    attempt: int
    errorCode: str
    error: str
    startTime: NotRequired[int]
    endTime: int


@closed
class TurnOut(TypedDict):
    """One thing said or pressed: seconds from the answer, and how sure the recognizer was (1: exact)."""

    speaker: str
    text: str
    at: float
    confidence: float
    digit: NotRequired[str | None]
    said_for: NotRequired[float | None]


@closed
class CallResult(TypedDict):
    """What came of a completed call."""

    callId: str
    transcript: str
    outcome: str
    metadata: dict[str, str]
    turns: list[TurnOut]
    answers: dict[str, bool]
    messageLeft: bool


@closed
class SipFacts(TypedDict):
    """What the network said."""

    callId: str | None
    code: int | None
    text: str


@closed
class MediaFacts(TypedDict):
    """What sound was carried: RTP packets."""

    codec: str | None
    sent: int
    received: int
    lost: int


@closed
class CallRow(TypedDict):
    """A call in the list of a batch's calls."""

    jobId: str
    status: CallWord
    phone_number: str
    row: int
    metadata: dict[str, str]
    startTime: NotRequired[int]
    endTime: NotRequired[int]
    duration: NotRequired[int]
    answeredAt: NotRequired[int]
    talkSeconds: NotRequired[float]
    outcome: NotRequired[str]
    error: NotRequired[str]
    errorCode: NotRequired[str]
    nextAttemptAt: NotRequired[int]


@closed
class CallStatus(TypedDict):
    """One call."""

    jobId: str
    status: CallWord
    phone_number: str
    row: int
    trunk: str
    live: bool
    startTime: NotRequired[int]
    endTime: NotRequired[int]
    duration: NotRequired[int]
    answeredAt: NotRequired[int]
    talkSeconds: NotRequired[float]
    error: NotRequired[str]
    errorCode: NotRequired[str]
    nextAttemptAt: NotRequired[int]
    attempts: NotRequired[list[Attempt]]
    result: NotRequired[CallResult]
    metadata: NotRequired[dict[str, str]]
    sip: NotRequired[SipFacts]
    media: NotRequired[MediaFacts]
    recordingUrl: NotRequired[str]


@closed
class Summary(TypedDict):
    """The counts of the whole batch, whatever the filter."""

    total: int
    waiting: int
    active: int
    completed: int
    failed: int
    cancelled: int


@closed
class CallList(TypedDict):
    """A page of a batch's calls, in the order of its list."""

    calls: list[CallRow]
    pagination: Pagination
    summary: Summary


@closed
class CancelDetails(TypedDict):
    """The five add up: completed, failed, cancelled and active calls make `totalCalls`."""

    completedCalls: int
    failedCalls: int
    cancelledCalls: int
    activeCalls: int
    totalCalls: int


@closed
class Cancelled(TypedDict):
    """A batch that was called back."""

    batchId: str
    status: BatchWord
    message: str
    details: CancelDetails


@closed
class ReportOut(TypedDict):
    """The rows of a batch's file that were skipped; at most the first 1,000 are listed."""

    id: str
    invalidCount: int
    invalidRows: list[BadRowOut]
    duplicates: int


@closed
class HistoryEvent(TypedDict):
    """Something that happened to a batch: when, and by which key (null: by the server itself)."""

    at: int
    event: str
    key: str | None
    data: dict[str, Any]


@closed
class History(TypedDict):
    """What happened to a batch, oldest first."""

    id: str
    events: list[HistoryEvent]
