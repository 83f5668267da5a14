"""Times and numbers as the wire APIs write and read them."""

import math
import re
from contextlib import suppress
from datetime import UTC, date, datetime

from covey.domain.errors import BadRequest


def millis(at: datetime) -> int:
    """Milliseconds since 1970."""
    return int(at.timestamp() * 1000)


def maybe_millis(at: datetime | None) -> int | None:
    """Milliseconds since 1970, None for what has not happened."""
    return None if at is None else millis(at)


def iso(at: datetime) -> str:
    """RFC 3339 with milliseconds and Z."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def whole_seconds(start: datetime, end: datetime) -> int:
    """The whole seconds from `start` to `end`."""
    return max(0, math.floor((end - start).total_seconds() + 0.5))


def positive(name: str, text: str | None, default: int, most: int | None = None) -> int:
    """A query's positive integer, clamped to `most`; BadRequest for anything else (contract 12.13)."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise BadRequest(f"{name}: must be a whole number from 1, not {text[:40]!r}")
    return min(int(text), most) if most else int(text)


def iso_millis(at: int) -> str:
    """Milliseconds since 1970 as RFC 3339."""
    return iso(datetime.fromtimestamp(at / 1000, UTC))


_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")


def moment(name: str, text: str) -> datetime:
    """An RFC 3339 time with any fraction and offset, in UTC."""
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        day, clock, fraction, offset = match.groups()
        micro = ((fraction or "") + "000000")[:6]
        zone = "+00:00" if offset in "Zz" else offset
        return datetime.fromisoformat(f"{day}T{clock}.{micro}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"{name}: {text[:60]!r} {_not_a_time(text)}", code="bad_time") from None


def _not_a_time(text: str) -> str:
    """What is missing of a time, and what would be right."""
    with suppress(ValueError):
        return f"has no clock time; 9 o'clock of that day in UTC is {date.fromisoformat(text)}T09:00:00Z"
    with suppress(ValueError):
        local = datetime.fromisoformat(text)
        if local.tzinfo is None:
            return f"has no zone; in UTC it is {local.isoformat()}Z, an hour east of that {local.isoformat()}+01:00"
    return "is not a time; it takes RFC 3339, such as 2026-12-01T09:00:00Z"


def utc(at: datetime) -> str:
    """A time within a sentence: RFC 3339 in whole seconds of UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
