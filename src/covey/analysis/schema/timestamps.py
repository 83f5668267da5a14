"""The three ways an answer writes a moment of a video (contract section 3)."""

import re
from enum import StrEnum
from math import isfinite


class TimeFormat(StrEnum):
    """How a moment is written: a number, or text with or without milliseconds."""

    seconds = "seconds"
    clock = "hh:mm:ss"
    milliseconds = "hh:mm:ss.fff"


TIME_FORMATS = ", ".join(TimeFormat)
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2}(?:\.\d{1,9})?)", re.ASCII)
_SHAPES = {
    TimeFormat.clock: re.compile(r"\d{2,4}:[0-5]\d:[0-5]\d", re.ASCII),
    TimeFormat.milliseconds: re.compile(r"\d{2,4}:[0-5]\d:[0-5]\d\.\d{3}", re.ASCII),
}


def write_time(seconds: float, how: TimeFormat) -> float | str:
    """A moment as asked: `10.5`, `"00:00:11"` (the nearest second) or `"00:00:10.500"`. Negative becomes 0."""
    seconds = max(0.0, seconds)
    if how is TimeFormat.seconds:
        return round(seconds, 3)
    if how is TimeFormat.clock:
        return _clock(int(seconds + 0.5))
    whole, fraction = divmod(round(seconds * 1000), 1000)
    return f"{_clock(whole)}.{fraction:03}"


def read_time(value: object) -> float | None:
    """Seconds of a moment written in any of the formats, also `1:23` and `"83.5"`; None if it is no moment."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e9 and isfinite(value) else None
    if not isinstance(value, str) or len(value) > 32:
        return None
    found = _CLOCK.fullmatch(value.strip())
    if found:
        hours, minutes, seconds = found.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
    number = re.fullmatch(r"(\d{1,8}(?:\.\d{1,9})?)(?: ?s(?:ec(?:onds)?)?)?", value.strip(), re.ASCII)
    return float(number[1]) if number else None


def is_time(value: object, how: TimeFormat) -> bool:
    """Whether a value is a moment written exactly so."""
    if how is TimeFormat.seconds:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return isinstance(value, str) and _SHAPES[how].fullmatch(value) is not None


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
