"""Segment definitions: the check of a request's, and the schema of the answers (contract section 3 and 6)."""

from itertools import pairwise
from typing import Any

from covey.analysis.encoded import decoded
from covey.analysis.schema.dialect import Schema, SchemaError, quoted, shown
from covey.analysis.schema.timestamps import TIME_FORMATS, TimeFormat, read_time
from covey.analysis.schema.validation import validate

MOST_DEFINITIONS = 20
MOST_FIELDS = 20
MOST_VALUES = 100
MOST_MEDIA = 4
LEAST_RANGE = 2.0
MOST_IMAGE = 32 * 1024 * 1024
FIELD_TYPES = ("string", "boolean", "number", "integer", "array", "timestamp")
ITEM_TYPES = ("string", "number", "boolean", "integer")
RESERVED = ("start_time", "end_time", "metadata")

_DEFINITION = ("id", "description", "fields", "media_sources", "time_ranges")
_FIELD = ("name", "type", "description", "format", "enum", "items")
_MEDIA = ("name", "media_type", "url", "asset_id", "base64_string")
_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float),
    "integer": (int,),
}


def check_segments(definitions: object, where: str, segment_time_format: object = None) -> None:
    """Raise SchemaError at the first thing in `segment_definitions` that is not as the contract says.

    `where` is their own path, `requests.0.response_format.segment_definitions`; the time format stands beside them. A
    null counts as absent. Whether `time_ranges` go together with other fields is the caller's: `has_time_ranges`.
    """
    each = _list(definitions, where, MOST_DEFINITIONS, least=1)
    seen: set[str] = set()
    for index, definition in enumerate(each):
        path = f"{where}.{index}"
        given = _object(definition, path, _DEFINITION, needs=("id", "description"))
        if given["id"] in seen:
            raise SchemaError(f"{path}.id: {quoted(given['id'])} is there twice; ids are unique.")
        seen.add(given["id"])
        _check_fields(given.get("fields", []), f"{path}.fields")
        check_media_sources(given.get("media_sources", []), f"{path}.media_sources")
        _check_ranges(given.get("time_ranges", []), f"{path}.time_ranges")
    if segment_time_format is not None and segment_time_format not in tuple(TimeFormat):
        beside = where.rpartition(".")[0] or where
        raise SchemaError(f"{beside}.segment_time_format: one of {TIME_FORMATS}.")


def has_time_ranges(definitions: list[dict[str, Any]]) -> bool:
    """Whether any definition says `time_ranges`; then start, end, and segment durations may not be said."""
    return any(definition.get("time_ranges") for definition in definitions)


def check_media_sources(sources: object, where: str) -> None:
    """Raise SchemaError at the first media source, of a prompt or of a definition, that is not as the contract says."""
    seen: set[str] = set()
    for index, source in enumerate(_list(sources, where, MOST_MEDIA)):
        path = f"{where}.{index}"
        given = _object(source, path, _MEDIA, needs=("name", "media_type"))
        if given["name"] in seen:
            raise SchemaError(f"{path}.name: {quoted(given['name'])} is there twice; names are unique.")
        seen.add(given["name"])
        if given["media_type"] != "image":
            raise SchemaError(f"{path}.media_type: it is image.")
        ways = [way for way in ("url", "asset_id", "base64_string") if way in given]
        if len(ways) != 1 or not isinstance(given[ways[0]], str) or not given[ways[0]]:
            raise SchemaError(f"{path}: exactly one of url, asset_id, base64_string, as text.")
        if ways == ["base64_string"]:
            _check_base64(given["base64_string"], f"{path}.base64_string")


def segments_schema(definitions: list[dict[str, Any]], time_format: str | None) -> Schema:
    """The schema of an answer: `{id: [{start_time, end_time, metadata}]}`. Of definitions that were checked."""
    how = {"type": "timestamp", "format": time_format or TimeFormat.seconds.value}
    properties: Schema = {}
    for definition in definitions:
        fields = {field["name"]: field_schema(field) for field in definition.get("fields") or []}
        metadata = {"type": "object", "properties": fields, "required": list(fields)}
        segment = {"start_time": how, "end_time": how, "metadata": metadata}
        items = {"type": "object", "properties": segment, "required": list(segment)}
        properties[definition["id"]] = {"type": "array", "description": definition["description"], "items": items}
    return {"type": "object", "properties": properties, "required": list(properties)}


def field_schema(field: dict[str, Any]) -> Schema:
    """The schema of one field of a definition."""
    schema: Schema = {"type": field["type"], "description": field["description"]}
    if field["type"] == "timestamp":
        return {**schema, "format": field["format"]}
    values = {"enum": field["enum"]} if field.get("enum") else {}
    if field["type"] == "array":
        return {**schema, "items": {"type": field["items"]["type"], **values}}
    return {**schema, **values}


def validate_segments(
    answer: object, definitions: list[dict[str, Any]], time_format: str | None, window: tuple[float, float]
) -> str | None:
    """None if an answer fits its definitions and lies in the window (seconds); else a sentence with the path."""
    wrong = validate(answer, segments_schema(definitions, time_format))
    if wrong or not isinstance(answer, dict):
        return wrong
    for name, segments in answer.items():
        for index, segment in enumerate(segments if isinstance(segments, list) else ()):
            start, end = read_time(segment["start_time"]), read_time(segment["end_time"])
            if start is None or end is None or start > end or start < window[0] - 1 or end > window[1] + 1:
                return (
                    f"At $.{shown(name)}[{index}]: start_time is not before end_time, or they lie outside "
                    f"{window[0]:g} to {window[1]:g} seconds."
                )
    return None


def _check_fields(fields: object, where: str) -> None:
    seen: set[str] = set()
    for index, field in enumerate(_list(fields, where, MOST_FIELDS)):
        path = f"{where}.{index}"
        given = _object(field, path, _FIELD, needs=("name", "type", "description"))
        if given["name"] in RESERVED or given["name"] in seen:
            raise SchemaError(
                f"{path}.name: {quoted(given['name'])} is there twice or is one of {', '.join(RESERVED)}."
            )
        seen.add(given["name"])
        if given["type"] not in FIELD_TYPES:
            raise SchemaError(f"{path}.type: {quoted(given['type'])} is none of {', '.join(FIELD_TYPES)}.")
        _check_field(given, path)


def _check_field(field: dict[str, Any], path: str) -> None:
    timestamp, array = field["type"] == "timestamp", field["type"] == "array"
    if timestamp and field.get("format") not in tuple(TimeFormat):
        raise SchemaError(f"{path}.format: format is required for timestamp type; allowed values: {TIME_FORMATS}")
    if not timestamp and "format" in field:
        raise SchemaError(f"{path}.format: format is for timestamp type only.")
    if timestamp and "enum" in field:
        raise SchemaError(f"{path}.enum: enum is not supported for timestamp type.")
    if array != ("items" in field):
        raise SchemaError(f"{path}.items: items is required for array type, and for that only.")
    if array:
        items = _object(field["items"], f"{path}.items", ("type",), needs=("type",))
        if items["type"] not in ITEM_TYPES:
            raise SchemaError(f"{path}.items.type: one of {', '.join(ITEM_TYPES)}.")
    if "enum" in field:
        _check_enum(field, path)


def _check_enum(field: dict[str, Any], path: str) -> None:
    kind = field["items"]["type"] if field["type"] == "array" else field["type"]
    for value in _list(field["enum"], f"{path}.enum", MOST_VALUES, least=1):
        if not isinstance(value, _PYTHON[kind]) or isinstance(value, bool) != (kind == "boolean"):
            raise SchemaError(f"{path}.enum: {quoted(value)} is not of the field's type, {kind}.")


def _check_ranges(ranges: object, where: str) -> None:
    spans: list[tuple[float, float, str]] = []
    for index, one in enumerate(_list(ranges, where, most=1000)):
        path = f"{where}.{index}"
        given = _object(one, path, ("start_time", "end_time"), needs=("start_time", "end_time"), kind=(int, float))
        start, end = float(given["start_time"]), float(given["end_time"])
        if not 0 <= start <= end - LEAST_RANGE:
            raise SchemaError(
                f"{path}: end_time is at least {LEAST_RANGE:g} seconds after start_time, which is 0 or more."
            )
        spans.append((start, end, path))
    spans.sort()
    for (_, ended, _before), (start, _end, path) in pairwise(spans):
        if start < ended:
            raise SchemaError(f"{path}: time ranges of one definition do not overlap; they may touch.")


def _check_base64(text: str, path: str) -> None:
    if len(text) > MOST_IMAGE * 4 // 3 + 4:
        raise SchemaError(f"{path}: an image has at most {MOST_IMAGE // 1024 // 1024} MB.")
    try:
        for _ in decoded(text):
            pass
    except ValueError:
        raise SchemaError(f"{path}: it is not base64.") from None


def _list(value: object, path: str, most: int, *, least: int = 0) -> list[Any]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise SchemaError(f"{path}: a list of {least} to {most}.")
    return value


def _object(
    value: object, path: str, known: tuple[str, ...], *, needs: tuple[str, ...], kind: tuple[type, ...] = (str,)
) -> dict[str, Any]:
    """An object of known keys, nulls left out, whose needed ones are there and of a kind."""
    if not isinstance(value, dict):
        raise SchemaError(f"{path}: an object.")
    for key in value:
        if key not in known:
            raise SchemaError(
                f"{path}.{shown(key)}: there is no such field; known are {', '.join(known)}.", code="parameter_unknown"
            )
    given = {key: inner for key, inner in value.items() if inner is not None}
    for key in needs:
        if key not in given:
            raise SchemaError(f"{path}.{key}: it is required.", code="parameter_not_provided")
        if not isinstance(given[key], kind) or isinstance(given[key], bool) or given[key] == "":
            raise SchemaError(f"{path}.{key}: {'text' if str in kind else 'a number'}, not empty.")
    return given
