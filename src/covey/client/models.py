"""What the server answers, as frozen dataclasses. `raw` is the JSON object each was read from.

Times are aware datetimes in UTC, durations seconds. Ids are opaque strings.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Raw = dict[str, Any]


def _raw() -> Raw:
    return {}


@dataclass(frozen=True, slots=True)
class InvalidRow:
    """A row of a CSV that cannot be called: `row` is its line in the file, 1 being the header."""

    row: int = 0
    column: str = ""
    value: str = ""
    code: str = ""
    message: str = ""
    suggestion: str = ""
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class StartedBatch:
    """A batch that was accepted."""

    batch_id: str
    total_calls: int
    status: str
    message: str = ""
    trunk: str = ""
    live: bool = False
    scheduled_at: datetime | None = None
    invalid_count: int = 0
    duplicates: int = 0
    duplicates_skipped: int = 0
    warnings: tuple[str, ...] = ()
    replayed: bool = False
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class RecentCall:
    """One of the ten calls that ended last."""

    job_id: str
    status: str
    phone_number: str = field(default="", metadata={"wire": "phone_number"})
    duration: float | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    error: str = ""
    error_code: str = ""
    outcome: str = ""
    raw: Raw = field(default_factory=_raw, repr=False)

    @property
    def ended_at(self) -> datetime | None:
        return self.completed_at or self.failed_at


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the calls of a batch are; the five counters add up to `total`."""

    waiting: int = 0
    active: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0
    start_time: datetime | None = None
    last_completed_time: datetime | None = None
    completed_time: datetime | None = None
    average_call_duration: float = 0.0
    recent_calls: tuple[RecentCall, ...] = field(default=(), metadata={"wire": "recent_calls"})
    raw: Raw = field(default_factory=_raw, repr=False)

    @property
    def ended(self) -> int:
        """Calls that are over, one way or another."""
        return self.completed + self.failed + self.cancelled


@dataclass(frozen=True, slots=True)
class Holding:
    """Why a batch that could go on starts nothing now."""

    code: str = ""
    message: str = ""
    since: datetime | None = None
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it is at `timestamp`. `outcomes` counts its ended calls by outcome and error code, `items` is what its
    items are called. `spent` and `max_cost` (empty: no limit) are decimal numbers in the unit of the workspace's
    prices, `deletes_at` is when it is deleted (None: nobody has said)."""

    id: str
    status: str
    is_complete: bool = False
    total_calls: int = 0
    progress: Progress = field(default_factory=Progress)
    timestamp: datetime | None = None
    name: str = ""
    created_at: datetime | None = None
    scheduled_at: datetime | None = None
    expires_at: datetime | None = None
    paused: bool = False
    trunk: str = ""
    live: bool = False
    agent_id: str = ""
    max_concurrent: int | None = None
    calls_per_second: float | None = None
    outcomes: dict[str, int] = field(default_factory=dict)
    holding: Holding | None = None
    error: str = ""
    max_cost: str = ""
    spent: str = "0"
    deletes_at: datetime | None = None
    items: str = "calls"
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch in a list of batches."""

    id: str
    status: str
    is_complete: bool = False
    total_calls: int = 0
    waiting: int = 0
    active: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    name: str = ""
    created_at: datetime | None = None
    scheduled_at: datetime | None = None
    start_time: datetime | None = None
    completed_time: datetime | None = None
    paused: bool = False
    trunk: str = ""
    live: bool = False
    agent_id: str = ""
    outcomes: dict[str, int] = field(default_factory=dict)
    holding: Holding | None = None
    error: str = ""
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said or pressed; `at` is in seconds from the answer, `confidence` between 0 and 1."""

    speaker: str = ""
    text: str = ""
    at: float = 0.0
    confidence: float = 1.0
    digit: str = ""
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class CallResult:
    """What came of a completed call."""

    call_id: str = ""
    transcript: str = ""
    outcome: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    turns: tuple[Turn, ...] = ()
    answers: dict[str, bool] = field(default_factory=dict)
    message_left: bool = False
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class SipFacts:
    """What the network said: the Call-ID, the SIP code, and the text beside it."""

    call_id: str = ""
    code: int | None = None
    text: str = ""
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What sound was carried: RTP packets."""

    codec: str = ""
    sent: int = 0
    received: int = 0
    lost: int = 0
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a batch. `row` is its line in the CSV."""

    job_id: str
    status: str
    phone_number: str = field(default="", metadata={"wire": "phone_number"})
    row: int | None = None
    start_time: datetime | None = None
    answered_at: datetime | None = None
    end_time: datetime | None = None
    duration: float | None = None
    talk_seconds: float | None = None
    outcome: str = ""
    error: str = ""
    error_code: str = ""
    next_attempt_at: datetime | None = None
    attempts: tuple[Any, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    result: CallResult | None = None
    sip: SipFacts | None = None
    media: MediaFacts | None = None
    recording_url: str = ""
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class Pagination:
    """Where a page stands; `after` leads to the next one."""

    page: int = 1
    limit: int = 20
    total: int = 0
    total_pages: int = 0
    has_next: bool = False
    has_prev: bool = False
    after: str | None = None
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class CallPage:
    """A page of calls, and the counts of the whole batch."""

    calls: tuple[Call, ...] = ()
    pagination: Pagination = field(default_factory=Pagination)
    summary: Progress = field(default_factory=Progress)
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class BatchPage:
    """A page of batches, newest first."""

    batches: tuple[BatchRow, ...] = ()
    pagination: Pagination = field(default_factory=Pagination)
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class CancelDetails:
    """What a cancel found; the five numbers add up to `total_calls`. Cancelled calls will never be dialled."""

    completed_calls: int = 0
    failed_calls: int = 0
    cancelled_calls: int = 0
    active_calls: int = 0
    total_calls: int = 0
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The answer to a cancel."""

    batch_id: str
    status: str
    message: str = ""
    details: CancelDetails = field(default_factory=CancelDetails)
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """Something that happened to a batch; `key` is the key that asked for it, "" for the server itself."""

    event: str = ""
    at: datetime | None = None
    key: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent; what it says and keeps besides is in `raw`."""

    id: str = field(metadata={"wire": "_id"})
    name: str = ""
    greeting: str = ""
    goodbye: str = ""
    questions: tuple[Any, ...] = ()
    warnings: tuple[Any, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class BadNumber:
    """A number that was not understood."""

    value: str = ""
    code: str = ""
    message: str = ""
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class Blocking:
    """What became of numbers for the do-not-call list: new on it, on it before, given twice, not understood."""

    added: int = 0
    known: int = 0
    duplicates: int = 0
    invalid: tuple[BadNumber, ...] = ()
    raw: Raw = field(default_factory=_raw, repr=False)


@dataclass(frozen=True, slots=True)
class BlockedList:
    """What became of the lines of a file for the do-not-call list: numbers that are new on it, on it before, or in an
    earlier line, too; and lines that were left out, of which `invalid_rows` are the first 1,000. `cut_off_at` is the
    line after which nothing was read; None if the file was read to its end."""

    message: str = ""
    added: int = 0
    known: int = 0
    duplicates: int = 0
    invalid_count: int = 0
    invalid_rows: tuple[InvalidRow, ...] = ()
    empty_lines: int = 0
    columns: tuple[str, ...] = ()
    phone_column: str = ""
    cut_off_at: int | None = None
    raw: Raw = field(default_factory=_raw, repr=False)

    @property
    def complete(self) -> bool:
        """Whether no line was left out."""
        return not self.invalid_count and self.cut_off_at is None


@dataclass(frozen=True, slots=True)
class StartedCall:
    """A single call that was accepted."""

    call_id: str = field(metadata={"wire": "call_id"})
    status: str = ""
    message: str = ""
    raw: Raw = field(default_factory=_raw, repr=False)
