"""The words of the JSON-schema dialect that a request may use, and what is wrong with one (contract section 3).

A subset of JSON Schema Draft 2020-12 with one type more, `timestamp`. What it does not have is refused with 422, what
is malformed with 400 `parameter_invalid`.
"""

from collections.abc import Iterator
from reprlib import Repr
from typing import Any, NamedTuple
from urllib.parse import unquote

Schema = dict[str, Any]

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string", "timestamp")
FORMATS = ("uuid", "date-time", "date", "time")
HOME = {
    "minimum": "integer",
    "maximum": "integer",
    "exclusiveMinimum": "integer",
    "exclusiveMaximum": "integer",
    "pattern": "string",
    "properties": "object",
    "required": "object",
    "items": "array",
    "minItems": "array",
}
"""The type that a keyword belongs to."""
ANYWHERE = ("type", "format", "enum", "const", "anyOf", "$ref", "$defs")
ANNOTATIONS = (
    "title",
    "description",
    "$comment",
    "$comments",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$schema",
)
"""Accepted and ignored."""
KEYWORDS = (*ANYWHERE, *HOME)
_KNOWN = frozenset((*KEYWORDS, *ANNOTATIONS))

MAX_BYTES = 64 * 1024
MAX_DEPTH = 20
"""Schemas inside schemas."""
MAX_JSON_DEPTH = 64
"""Lists and objects inside each other, in a schema and in an answer."""

REASONS = {
    "minLength": "String length constraints (minLength) are not supported.",
    "maxLength": "String length constraints (maxLength) are not supported.",
    "additionalProperties": "The additionalProperties keyword is not supported.",
    "uniqueItems": "Array constraints (uniqueItems) are not supported.",
    "maxItems": "Array constraints (maxItems) are not supported.",
    **{word: f"Composition is by anyOf only; {word} is not supported." for word in ("oneOf", "allOf", "not", "if")},
}


class SchemaError(Exception):
    """A response format is refused: `status` 400 or 422, `code` for programs, the text a sentence with the path."""

    def __init__(self, message: str, status: int = 400, code: str = "parameter_invalid") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


def unsupported(path: str, why: str) -> SchemaError:
    """What the dialect does not say: 422."""
    return SchemaError(f"{path}: {why}", status=422)


def check_keywords(schema: Schema, path: str) -> None:
    """Raise 422 at the first keyword that the dialect does not have."""
    for word in schema:
        if word not in _KNOWN:
            why = REASONS.get(word) or f"The keyword is not supported; supported are {', '.join(KEYWORDS)}."
            raise unsupported(f"{path}.{shown(word)}", why)


def shown(text: object) -> str:
    """A piece of a request inside a message: never more than 64 characters of it."""
    written = str(text)
    return written if len(written) <= 64 else written[:61] + "..."


def quoted(value: object) -> str:
    """A value of a request inside a message, in quotes where it is text. Never costs more than what it shows."""
    return shown(_SHORT.repr(value))


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def ref_name(ref: str) -> str | None:
    """The name in `$defs` of a `$ref`; None if it points anywhere else."""
    start = "#/$defs/"
    if not ref.startswith(start) or "/" in ref[len(start) :]:
        return None
    return unquote(ref[len(start) :]).replace("~1", "/").replace("~0", "~")


def target(schema: Schema, root: Schema) -> Schema:
    """The schema that `$ref`s lead to, which may be this one. Of a schema that was checked."""
    for _ in range(MAX_DEPTH + 1):
        ref = schema.get("$ref")
        if not isinstance(ref, str):
            return schema
        schema = root.get("$defs", {}).get(ref_name(ref), {})
    return schema


def kinds(schema: Schema) -> tuple[str, ...]:
    """The types that a schema names, or that its keywords imply; empty: any."""
    given = schema.get("type")
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list):
        return tuple(given)
    return tuple(
        dict.fromkeys(HOME[word] for word in ("properties", "required", "items", "minItems") if word in schema)
    )


def children(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The schemas directly inside this one with their paths, `$defs` not."""
    for name, inner in schema.get("properties", {}).items():
        yield f"properties.{shown(name)}", inner
    if "items" in schema:
        yield "items", schema["items"]
    for index, inner in enumerate(schema.get("anyOf", ())):
        yield f"anyOf.{index}", inner


class Measures(NamedTuple):
    """How large a JSON value is: the values in it, how deep they lie, the characters of its texts and names."""

    nodes: int
    depth: int
    characters: int


def measure(value: object, most: int) -> Measures:
    """The measures of a JSON value; stops at `most` values and below MAX_JSON_DEPTH. Never recurses."""
    nodes = depth = characters = 0
    open_ = [(value, 1)]
    while open_ and nodes < most and depth <= MAX_JSON_DEPTH:
        inner, level = open_.pop()
        nodes, depth = nodes + 1, max(depth, level)
        if isinstance(inner, dict):
            characters += sum(map(len, inner))
            open_.extend((each, level + 1) for each in inner.values())
        elif isinstance(inner, list):
            open_.extend((each, level + 1) for each in inner)
        elif isinstance(inner, str):
            characters += len(inner)
    return Measures(nodes, depth, characters)


def check_refs(root: Schema, where: str) -> None:
    """Raise SchemaError at the first `$ref` that names no schema of `$defs`."""
    for path, schema in everywhere(root, where):
        ref = schema.get("$ref")
        if ref is not None and ref_name(ref) not in root.get("$defs", {}):
            known = (
                ", ".join(f"#/$defs/{name}" for name in list(root.get("$defs", {}))[:10]) or "none, there is no $defs"
            )
            raise SchemaError(f"{path}.$ref: {quoted(ref)} leads nowhere; there are {shown(known)}.")


def check_ends(root: Schema, where: str) -> None:
    """Raise SchemaError where `$ref`s do not end, or only after very many. Of a schema whose refs were checked."""
    leads = {name: set(_at_once(schema)) for name, schema in root.get("$defs", {}).items()}
    for _ in range(MAX_DEPTH):
        leads = {name: to for name, to in leads.items() if to & leads.keys()}
    if leads:
        name = shown(next(iter(leads)))
        raise SchemaError(
            f"{where}.$defs.{name}: its $ref never ends, or only after more than {MAX_DEPTH} others: "
            "it has to step into a property or an item."
        )


def everywhere(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every schema in this one, itself and `$defs` included, with its path."""
    yield path, schema
    for step, inner in children(schema):
        yield from everywhere(inner, f"{path}.{step}")
    for name, inner in schema.get("$defs", {}).items():
        yield from everywhere(inner, f"{path}.$defs.{shown(name)}")


def _at_once(schema: Schema) -> Iterator[str]:
    """The names that this schema leads to for the same value."""
    open_ = [schema]
    while open_:
        inner = open_.pop()
        if "$ref" in inner:
            yield ref_name(inner["$ref"]) or ""
        open_.extend(inner.get("anyOf", ()))
