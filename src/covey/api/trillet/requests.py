"""The text fields of a start, each checked with a sentence of its own (contract sections 3, 12.3 to 12.5, 12.12)."""

import asyncio
import difflib
import math
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError
from starlette.requests import Request

from covey import private
from covey.api.kit.blank import Fields, is_blank
from covey.api.kit.formats import moment, utc
from covey.api.kit.forms import FILE, Form
from covey.api.kit.forms import read_form as read
from covey.api.kit.json_text import Unfit, read_json
from covey.api.kit.money import amount
from covey.api.kit.numerals import Real, Whole, is_numeral
from covey.api.kit.validation import sentence
from covey.calls.intake import Encoding, OnDuplicate, OnInvalid
from covey.domain.errors import BadRequest, TooLarge
from covey.settings import Limits
from covey.settings.regions import check_region

PAST = timedelta(minutes=1)
AHEAD = timedelta(days=366)
MOST_ATTEMPTS = 10
MOST_ATTEMPTS_DEFAULT = 5
DEFAULT_GAP = 3600.0


_T = TypeVar("_T")


class CallbackGap(Fields):
    """The time between two attempts."""

    model_config = ConfigDict(extra="forbid")

    days: Annotated[Real, Field(ge=0, le=365)] = 0
    hours: Annotated[Real, Field(ge=0, le=8760)] = 0

    @property
    def seconds(self) -> float:
        return (self.days * 24 + self.hours) * 3600


class SmartCallback(Fields):
    """The batch's own answer to busy phones; overrides the agent's."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool
    maxAttempts: Annotated[Whole, Field(ge=1, le=MOST_ATTEMPTS)] = MOST_ATTEMPTS_DEFAULT
    gaps: Annotated[list[CallbackGap], Field(max_length=MOST_ATTEMPTS)] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StartFields:
    """What a start's form says beside its file; None where it says nothing."""

    agent_id: str
    start_at: datetime | None
    expires_at: datetime | None
    callback: SmartCallback | None
    name: str | None
    trunk: str | None
    region: str | None
    phone_column: str | None
    encoding: Encoding
    on_invalid: OnInvalid | None
    on_duplicate: OnDuplicate
    allow_duplicate: bool
    cap: int | None
    pace: float | None
    max_cost: int | None
    """In millionths."""


NAMES = frozenset(
    {
        "agentId",
        "scheduledAt",
        "smartCallbackConfig",
        "name",
        "trunk",
        "region",
        "phoneColumn",
        "encoding",
        "onInvalid",
        "onDuplicate",
        "allowDuplicate",
        "maxConcurrent",
        "callsPerSecond",
        "expiresAt",
        "maxCost",
    }
)

SCHEMAS: dict[str, Any] = {
    "file": {"type": "string", "format": "binary", "description": "The list as CSV with a header row, at most 20 MiB"},
    "agentId": {"type": "string", "description": "The agent that places the calls"},
    "scheduledAt": {"type": "string", "format": "date-time", "description": "When to start (RFC 3339); absent: now"},
    "smartCallbackConfig": {
        "type": "string",
        "description": 'JSON: {"enabled": bool, "maxAttempts": 1 to 10, "gaps": [{"days": n, "hours": n}]}; a gap '
        "is a minute at least",
    },
    "name": {"type": "string", "maxLength": 200, "description": "What people call the batch"},
    "trunk": {"type": "string", "description": "The trunk to call through; absent: the agent's, else the default"},
    "region": {"type": "string", "pattern": "^[A-Z]{2}$", "description": "The country of numbers without +"},
    "phoneColumn": {"type": "string", "description": "The column of the numbers, if it is not phone_number"},
    "encoding": {"type": "string", "enum": [str(one) for one in Encoding], "default": "utf-8"},
    "onInvalid": {"type": "string", "enum": [str(one) for one in OnInvalid]},
    "onDuplicate": {"type": "string", "enum": [str(one) for one in OnDuplicate], "default": "keep"},
    "allowDuplicate": {"type": "string", "enum": ["true", "false"], "default": "false"},
    "maxConcurrent": {"type": "integer", "minimum": 1, "maximum": 100_000, "description": "The most calls at once"},
    "callsPerSecond": {"type": "number", "exclusiveMinimum": 0, "maximum": 1000},
    "expiresAt": {"type": "string", "format": "date-time", "description": "When what still waits is cancelled"},
    "maxCost": {
        "type": "string",
        "pattern": r"^\d{1,12}(\.\d{1,6})?$",
        "description": "What the batch may cost at most, in the unit of the workspace's prices, such as 25.00",
    },
}


def parse(fields: Mapping[str, str], now: datetime) -> StartFields:
    """The fields of a start's form. Raises BadRequest naming the field. Free text that is empty counts as absent."""
    given = {name: text.strip() for name, text in fields.items() if not is_blank(text)}
    if "agentId" not in given:
        raise BadRequest("agentId: the form has no such field; it names the agent that places the calls")
    start_at = _optional(given, "scheduledAt", lambda text: schedule(text, now))
    return StartFields(
        agent_id=given["agentId"],
        start_at=start_at,
        expires_at=_optional(given, "expiresAt", lambda text: expiry(text, max(start_at or now, now))),
        callback=_optional(given, "smartCallbackConfig", smart_callback),
        name=_optional(given, "name", name),
        trunk=given.get("trunk"),
        region=_optional(given, "region", region),
        phone_column=given.get("phoneColumn"),
        encoding=_optional(given, "encoding", encoding) or Encoding.utf_8,
        on_invalid=_optional(given, "onInvalid", lambda text: _choice("onInvalid", text, OnInvalid)),
        on_duplicate=_optional(given, "onDuplicate", lambda text: _choice("onDuplicate", text, OnDuplicate))
        or OnDuplicate.keep,
        allow_duplicate=_boolean("allowDuplicate", given.get("allowDuplicate", "false")),
        cap=_optional(given, "maxConcurrent", cap),
        pace=_optional(given, "callsPerSecond", pace),
        max_cost=_optional(given, "maxCost", lambda text: amount("maxCost", text)),
    )


def schedule(text: str, now: datetime) -> datetime:
    """When a batch is to start: from a minute ago to a year ahead."""
    at = moment("scheduledAt", text)
    if at < now - PAST:
        raise BadRequest(f"scheduledAt: {text} is in the past; now is {utc(now)}", code="bad_time")
    if at > now + AHEAD:
        raise BadRequest(f"scheduledAt: {text} is over a year ahead", code="bad_time")
    return at


def expiry(text: str, start: datetime) -> datetime:
    """When what still waits is cancelled: after the start."""
    at = moment("expiresAt", text)
    if at <= start:
        raise BadRequest(f"expiresAt: {text} is not after the start, so nothing could ever be called", code="bad_time")
    return at


def smart_callback(text: str) -> SmartCallback:
    """The batch's smart callback from its JSON."""
    try:
        found = SmartCallback.model_validate(read_json(text.encode()), strict=True)
    except (ValueError, Unfit) as error:
        first = sentence(error.errors()[0]) if isinstance(error, ValidationError) else "it is not valid JSON"
        if isinstance(error, Unfit):
            first = error.what
        raise BadRequest(
            f'smartCallbackConfig: {first}; it takes {{"enabled": true, "maxAttempts": 3, '
            '"gaps": [{"days": 0, "hours": 2}]}',
            code="bad_smart_callback",
        ) from None
    if any(gap.seconds <= 0 for gap in found.gaps):
        raise BadRequest("smartCallbackConfig: gaps: a gap must be longer than nothing", code="bad_smart_callback")
    return found


def check_gaps(field: str, gaps: Iterable[float], least: float) -> None:
    """Raises BadRequest for a gap of fewer than `least` seconds; a minute is hardly ever exact in hours."""
    for seconds in gaps:
        if round(seconds, 3) < least:
            raise BadRequest(
                f"{field}: a gap of {seconds:g} seconds is too short; at least {least:g} seconds "
                f"({math.ceil(least / 3.6) / 1000} hours) are between two attempts at one person",
                code="gap_too_short",
            )


def name(text: str) -> str:
    """What people call the batch."""
    if len(text) > 200:
        raise BadRequest(f"name: {len(text)} characters; at most 200 are taken")
    return text


def region(text: str) -> str:
    """A country as two capital letters."""
    try:
        return check_region(text)
    except ValueError as error:
        raise BadRequest(f"region: {error}") from None


def encoding(text: str) -> Encoding:
    """How the bytes of a list are to be read."""
    return _choice("encoding", text, Encoding)


def cap(text: str) -> int:
    """The most calls of the batch at once."""
    if not (text.isascii() and text.isdigit() and len(text) < 7 and 1 <= int(text) <= 100_000):
        raise BadRequest(f"maxConcurrent: {text[:40]!r} is not a whole number from 1 to 100,000")
    return int(text)


def pace(text: str) -> float:
    """The calls of the batch a second."""
    value = float(text) if is_numeral(text) else math.nan
    if not 0.001 <= value <= 1000:
        raise BadRequest(f"callsPerSecond: {text[:40]!r} is not a number from 0.001 to 1,000")
    return value


def _optional(fields: Mapping[str, str], field: str, read: Callable[[str], _T]) -> _T | None:
    return read(fields[field]) if field in fields else None


def _choice(field: str, text: str, choices: Callable[[str], _T]) -> _T:
    try:
        return choices(text.lower())
    except ValueError:
        known = ", ".join(str(one) for one in choices)  # type: ignore[attr-defined]
        raise BadRequest(f"{field}: {text[:40]!r} is none of {known}") from None


def _boolean(field: str, text: str) -> bool:
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise BadRequest(f"{field}: {text[:40]!r} is neither true nor false")


START = "the parts file and agentId (curl: -F file=@contacts.csv -F agentId=…)"
"""What a start's form has at least."""


async def read_form(request: Request, known: frozenset[str], spool: Path, limits: Limits, least: str = START) -> Form:
    """Read a form with the fields `known` and a file; `least` says what it must have.

    Raises BadRequest, TooLarge, NoRoom; then nothing stays behind.
    """
    await asyncio.to_thread(private.folder, spool)
    spooled = spool / f"upload-{secrets.token_hex(8)}.csv"
    form = await read(request, known, spooled, limits.csv_bytes, limits, _Faults(known, least))
    if form.path is None:
        raise BadRequest("file: the form has no part of this name; it holds the CSV", code="no_file")
    return form


@dataclass(frozen=True, slots=True)
class _Faults:
    """What is wrong with a form, in this family's codes."""

    known: frozenset[str]
    least: str

    def no_form(self) -> BadRequest:
        return BadRequest(f"The body must be multipart/form-data with {self.least}", code="not_a_form")

    def invalid(self, message: str) -> BadRequest:
        return BadRequest(message, code="bad_form")

    def unknown(self, name: str) -> BadRequest:
        names = sorted([*self.known, FILE])
        near = difflib.get_close_matches(name[:100], names, n=1)
        hint = f"; is {near[0]} meant?" if near else f"; there are {', '.join(names)}"
        return BadRequest(f"{name[:100]}: there is no such form field, nothing was started{hint}", code="unknown_field")

    def too_large(self, most: int) -> TooLarge:
        return TooLarge(f"file: larger than the limit of {most:,} bytes; split the list")
