"""The three ways an answer writes a moment of a video (contract section 3)."""

import re
from enum import StrEnum
from math import isfinite

from covey.analysis.schema.dialect import Schema, SchemaError, everywhere, kinds, target


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


RESERVED = ("start_time", "end_time")
_MAY_BE = frozenset(("number", "integer", "string", "timestamp"))


def check_times(root: Schema, where: str) -> None:
    """Raise SchemaError 400 at the first timestamp or reserved property that is not as the dialect says."""
    placed = {id(schema) for schema in _places(root)}
    for path, schema in everywhere(root, where):
        if "timestamp" in kinds(schema):
            if id(schema) not in placed:
                raise SchemaError(
                    f"{path}: timestamp may stand at the top level (properties.<name>) or one array deep "
                    "(properties.<name>.items.properties.<name>), not here."
                )
            if schema.get("format") not in tuple(TimeFormat):
                raise SchemaError(
                    f"{path}.format: format is required for timestamp type; allowed values: {TIME_FORMATS}"
                )
        for name in RESERVED:
            if name in schema.get("properties", {}):
                _check_reserved(schema["properties"][name], root, f"{path}.properties.{name}")


def _places(root: Schema) -> list[Schema]:
    """The schemas that may be timestamps."""
    top = list(root.get("properties", {}).values())
    items = [schema["items"] for schema in top if "items" in schema]
    return top + [schema for item in items for schema in item.get("properties", {}).values()]


def _check_reserved(schema: Schema, root: Schema, path: str) -> None:
    seen: set[int] = set()
    open_ = [target(schema, root)]
    while open_:
        one = open_.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        ways = [target(way, root) for way in one.get("anyOf", ())]
        open_.extend(ways)
        types = set(kinds(one))
        if types - _MAY_BE or (not types and not ways):
            raise SchemaError(f"{path}: it is a number, an integer, a string without format, or a timestamp.")
        if "string" in types and "format" in one:
            raise SchemaError(f"{path}.format: a string here takes no format; use the type timestamp for one.")
