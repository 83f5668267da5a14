"""The JSON-schema dialect of the TwelveLabs API: what a request may ask for, whether an answer fits, other dialects."""

from covey.analysis.schema.dialect import Schema, SchemaError
from covey.analysis.schema.requests import check_request_schema
from covey.analysis.schema.segments import check_media_sources, check_segments, segments_schema, validate_segments
from covey.analysis.schema.strict import from_openai, to_openai
from covey.analysis.schema.timestamps import TimeFormat, read_time, write_time
from covey.analysis.schema.validation import validate

__all__ = [
    "Schema",
    "SchemaError",
    "TimeFormat",
    "check_media_sources",
    "check_request_schema",
    "check_segments",
    "from_openai",
    "read_time",
    "segments_schema",
    "to_openai",
    "validate",
    "validate_segments",
    "write_time",
]
