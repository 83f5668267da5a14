"""Segment definitions and media sources: the check of a request's, and of the answers."""

from typing import Any

import pytest

from covey.analysis.schema import (
    SchemaError,
    check_media_sources,
    check_segments,
    segments_schema,
    to_openai,
    validate_segments,
)

Json = Any

SEGMENT = {"id": "scene", "description": "Each scene."}


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        ({"id": ""}, "0.id", "parameter_invalid"),
        ({"id": None}, "0.id", "parameter_not_provided"),
        ({"colour": "x"}, "0.colour", "parameter_unknown"),
        ({"fields": [{"name": "a", "type": "string", "description": "d"}] * 21}, "0.fields", "parameter_invalid"),
        (
            {"fields": [{"name": "metadata", "type": "string", "description": "d"}]},
            "0.fields.0.name",
            "parameter_invalid",
        ),
        ({"fields": [{"name": "a", "type": "time_array", "description": "d"}]}, "0.fields.0.type", "parameter_invalid"),
        (
            {"fields": [{"name": "a", "type": "timestamp", "description": "d"}]},
            "0.fields.0.format",
            "parameter_invalid",
        ),
        (
            {"fields": [{"name": "a", "type": "string", "description": "d", "format": "seconds"}]},
            "0.fields.0.format",
            "parameter_invalid",
        ),
        ({"fields": [{"name": "a", "type": "array", "description": "d"}]}, "0.fields.0.items", "parameter_invalid"),
        (
            {"fields": [{"name": "a", "type": "array", "description": "d", "items": {"type": "object"}}]},
            "0.fields.0.items.type",
            "parameter_invalid",
        ),
        (
            {"fields": [{"name": "a", "type": "string", "description": "d", "enum": ["x"] * 101}]},
            "0.fields.0.enum",
            "parameter_invalid",
        ),
        ({"time_ranges": [{"start_time": 0, "end_time": 1.9}]}, "0.time_ranges.0", "parameter_invalid"),
        (
            {"time_ranges": [{"start_time": 4, "end_time": 9}, {"start_time": 0, "end_time": 5}]},
            "0.time_ranges.0",
            "parameter_invalid",
        ),
        ({"media_sources": [{}] * 5}, "0.media_sources", "parameter_invalid"),
    ],
)
def test_segment_definitions_are_checked(change: Json, path: str, code: str) -> None:
    with pytest.raises(SchemaError) as caught:
        check_segments([{**SEGMENT, **change}], "defs")
    assert caught.value.message.startswith(f"defs.{path}:")
    assert (caught.value.status, caught.value.code) == (400, code)


def test_segment_definitions_that_pass_and_their_answers() -> None:
    fields = [
        {"name": "title", "type": "string", "description": "d", "enum": None},
        {"name": "at", "type": "timestamp", "format": "hh:mm:ss", "description": "d"},
        {"name": "tags", "type": "array", "items": {"type": "string"}, "description": "d"},
    ]
    ranges = [{"start_time": 5, "end_time": 10}, {"start_time": 0, "end_time": 5}]
    definitions = [{**SEGMENT, "fields": fields, "time_ranges": ranges, "media_sources": None}]
    check_segments(definitions, "defs", "hh:mm:ss")
    good = {"start_time": "00:00:01", "end_time": "00:00:03", "metadata": {"title": "x", "at": "00:00:02", "tags": []}}
    assert validate_segments({"scene": [good]}, definitions, "hh:mm:ss", (0, 10)) is None
    assert "start_time" in str(
        validate_segments({"scene": [{**good, "start_time": 1}]}, definitions, "hh:mm:ss", (0, 10))
    )
    assert "outside" in str(validate_segments({"scene": [good]}, definitions, "hh:mm:ss", (5, 10)))
    assert "scene" in str(validate_segments({}, definitions, None, (0, 10)))
    strict = to_openai(segments_schema(definitions, "hh:mm:ss"))["properties"]["scene"]["items"]
    assert strict["required"] == ["start_time", "end_time", "metadata"]
    assert strict["properties"]["start_time"]["type"] == "string"
    assert strict["properties"]["metadata"]["additionalProperties"] is False
    with pytest.raises(SchemaError, match="segment_time_format"):
        check_segments(definitions, "r.segment_definitions", "hours")
    with pytest.raises(SchemaError, match="twice"):
        check_segments([SEGMENT, SEGMENT], "defs")
    bad: list[Json] = [[], [SEGMENT] * 21, {}, None]
    for wrong in bad:
        with pytest.raises(SchemaError):
            check_segments(wrong, "defs")


def test_media_sources_have_one_way_each() -> None:
    image = {"name": "a", "media_type": "image"}
    check_media_sources([{**image, "url": "https://x.example/a.png"}], "m")
    for wrong in (
        image,
        {**image, "url": "u", "asset_id": "a"},
        {**image, "base64_string": "%"},
        {**image, "media_type": "x"},
    ):
        with pytest.raises(SchemaError):
            check_media_sources([wrong], "m")
