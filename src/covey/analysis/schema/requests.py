"""The check of a `json_schema` that a request brings (contract section 3)."""

import json

from covey.analysis.schema.dialect import (
    ANNOTATIONS,
    FORMATS,
    HOME,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_JSON_DEPTH,
    TYPES,
    Schema,
    SchemaError,
    check_ends,
    check_keywords,
    check_refs,
    children,
    kinds,
    measure,
    quoted,
    shown,
    unsupported,
)
from covey.analysis.schema.patterns import Patterns, Unreadable
from covey.analysis.schema.timestamps import check_times

_SCALARS = (bool, int, float, str, type(None))


def check_request_schema(schema: object, where: str, patterns: Patterns | None = None) -> None:
    """Raise SchemaError at the first thing in a `json_schema` that is malformed (400) or not supported (422).

    `where` is the schema's own path in the request, `requests.0.response_format.json_schema`; messages continue it.
    `patterns` are those of the whole request, where it brings more than one schema.
    """
    patterns = patterns or Patterns()
    if not isinstance(schema, dict):
        raise SchemaError(f"{where}: a JSON schema is an object.")
    _check_size(schema, where)
    defs = schema.get("$defs", {})
    if not isinstance(defs, dict):
        raise SchemaError(f"{where}.$defs: an object of schemas by name.")
    for name, inner in defs.items():
        _check(inner, f"{where}.$defs.{shown(name)}", patterns, 2, inside=True)
    _check(schema, where, patterns, 1, inside=False)
    check_refs(schema, where)
    check_ends(schema, where)
    check_times(schema, where)


def _check_size(schema: Schema, where: str) -> None:
    size = measure(schema, MAX_BYTES)
    if size.depth > MAX_JSON_DEPTH:
        raise SchemaError(f"{where}: the schema is nested deeper than {MAX_DEPTH} levels.")
    if size.nodes >= MAX_BYTES or size.characters > MAX_BYTES or len(json.dumps(schema)) > MAX_BYTES:
        raise SchemaError(f"{where}: the schema is larger than {MAX_BYTES // 1024} KB.")


def _check(schema: object, path: str, patterns: Patterns, depth: int, *, inside: bool) -> None:
    """One schema and those in it; each keyword's own shape first."""
    if isinstance(schema, bool):
        raise unsupported(path, "A schema that is true or false is not supported; name a type.")
    if not isinstance(schema, dict):
        raise SchemaError(f"{path}: a JSON schema is an object.")
    if depth > MAX_DEPTH:
        raise SchemaError(f"{path}: the schema is nested deeper than {MAX_DEPTH} levels.")
    check_keywords(schema, path)
    if inside and "$defs" in schema:
        raise unsupported(f"{path}.$defs", "$defs stands at the root of the schema only.")
    _check_type(schema, path)
    _check_homes(schema, path)
    _check_shapes(schema, path)
    _check_values(schema, path)
    _check_text(schema, path, patterns)
    for step, inner in children(schema):
        _check(inner, f"{path}.{step}", patterns, depth + 1, inside=True)


def _check_type(schema: Schema, path: str) -> None:
    if "type" not in schema:
        return
    given = schema["type"]
    each = given if isinstance(given, list) and given else [given]
    for one in each:
        if not isinstance(one, str) or one not in TYPES:
            raise SchemaError(f"{path}.type: {quoted(one)} is none of {', '.join(TYPES)}.")
    if isinstance(given, list) and "timestamp" in given and len(given) > 1:
        raise SchemaError(f"{path}.type: timestamp stands alone, not in a list of types.")


def _check_homes(schema: Schema, path: str) -> None:
    """Each keyword stands with the type that it belongs to."""
    of = kinds(schema)
    for word, home in HOME.items():
        if word in schema and home not in of:
            raise unsupported(f"{path}.{word}", f"{word} is supported for the {home} type only.")
    if "format" in schema and not {"string", "timestamp"} & set(of):
        raise unsupported(f"{path}.format", "format is supported for the string and timestamp types only.")


def _check_shapes(schema: Schema, path: str) -> None:
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise SchemaError(f"{path}.properties: an object of schemas by name.")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise SchemaError(f"{path}.required: a list of names of properties.")
    for name in required:
        if name not in properties:
            raise SchemaError(f"{path}.required: {quoted(name)} is not one of the properties.")
    ways = schema.get("anyOf", [{}])
    if not isinstance(ways, list) or not ways:
        raise SchemaError(f"{path}.anyOf: a list of at least one schema.")
    if not isinstance(schema.get("$ref", ""), str):
        raise SchemaError(f"{path}.$ref: text, #/$defs/ and a name.")
    if "$ref" in schema and set(schema) - {"$ref", "$defs", *ANNOTATIONS}:
        raise unsupported(f"{path}.$ref", "Beside $ref only annotations are supported.")


def _check_values(schema: Schema, path: str) -> None:
    for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if word in schema and (isinstance(schema[word], bool) or not isinstance(schema[word], int | float)):
            raise SchemaError(f"{path}.{word}: a number.")
    if "minItems" in schema and (isinstance(schema["minItems"], bool) or schema["minItems"] not in (0, 1)):
        raise unsupported(f"{path}.minItems", "minItems is 0 or 1.")
    enum = schema.get("enum", [None])
    if not isinstance(enum, list) or not enum:
        raise SchemaError(f"{path}.enum: a list of at least one value.")
    for value in (*enum, schema.get("const")):
        if not isinstance(value, _SCALARS):
            word = "const" if value is schema.get("const") else "enum"
            raise unsupported(f"{path}.{word}", "Values are boolean, null, number or string.")


def _check_text(schema: Schema, path: str, patterns: Patterns) -> None:
    pattern = schema.get("pattern", "")
    if not isinstance(pattern, str):
        raise SchemaError(f"{path}.pattern: a regular expression as text.")
    try:
        if pattern:
            patterns.get(pattern)
    except Unreadable as error:
        raise SchemaError(f"{path}.pattern: the pattern is not one that can be used: {error}.") from None
    if "timestamp" not in kinds(schema) and "format" in schema and schema["format"] not in FORMATS:
        raise unsupported(f"{path}.format", f"{quoted(schema['format'])} is none of {', '.join(FORMATS)}.")
