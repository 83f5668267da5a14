"""The dialect of OpenAI's strict mode: to it a schema, back from it an answer.

Strict mode wants an object at the root, every property required and `additionalProperties` false, and knows no
timestamp. So an optional property becomes one that may be null, a timestamp a number or a text with a description, and
a root that is no object is wrapped in `{"answer": …}`. On the way back nulls of optional properties go, and times are
written as asked.
"""

from typing import Any

from covey.analysis.schema.dialect import ANNOTATIONS, MAX_JSON_DEPTH, Schema, kinds, measure, target
from covey.analysis.schema.timestamps import RESERVED, TimeFormat, read_time, write_time
from covey.analysis.schema.validation import Costly, StepBudget

WRAP = "answer"
_DROPPED = frozenset(ANNOTATIONS) - {"title", "description"}
_ANY = [{"type": kind} for kind in ("string", "number", "boolean", "null")]
_MOST = 1_000_000


def to_openai(schema: Schema) -> Schema:
    """The schema in strict mode's dialect. Expects one that `check_request_schema` let pass."""
    defs = {name: _strict(inner) for name, inner in schema.get("$defs", {}).items()}
    root = _strict({word: value for word, value in schema.items() if word != "$defs"})
    if kinds(schema) != ("object",) or "anyOf" in schema:
        root = _closed({WRAP: root})
    return {**root, "$defs": defs} if defs else root


def from_openai(answer: object, schema: Schema) -> object:
    """A strict answer as the request's schema asks for it; what does not fit is left for `validate` to find."""
    if kinds(schema) != ("object",) or "anyOf" in schema:
        answer = answer[WRAP] if isinstance(answer, dict) and set(answer) == {WRAP} else answer
    nodes, depth, _ = measure(answer, _MOST)
    if depth > MAX_JSON_DEPTH or nodes >= _MOST:
        return answer
    try:
        return _Back(schema, StepBudget(5_000 + 20 * nodes)).value(answer, schema)
    except (Costly, RecursionError):
        return answer


def _strict(schema: Schema, name: str = "") -> Schema:
    out = {word: value for word, value in schema.items() if word not in _DROPPED and word not in ("required", "$defs")}
    if "timestamp" in kinds(schema):
        out = _timestamp(out, TimeFormat(schema["format"]))
    elif name in RESERVED and kinds(schema) == ("string",):
        out = _timestamp(out, TimeFormat.milliseconds)
    if "items" in schema:
        out["items"] = _strict(schema["items"])
    if "anyOf" in schema:
        out["anyOf"] = [_strict(inner, name) for inner in schema["anyOf"]]
    if "object" in kinds(schema):
        out = _object(schema, out)
    if "array" in kinds(schema):
        out = {"items": {"anyOf": _ANY}, **out}
    if not {"type", "anyOf", "$ref", "enum", "const"} & set(out):
        out["anyOf"] = _ANY
    return out


def _object(schema: Schema, out: Schema) -> Schema:
    required = schema.get("required", [])
    properties = {
        name: _strict(inner, name) if name in required else _nullable(_strict(inner, name))
        for name, inner in schema.get("properties", {}).items()
    }
    return {**out, **_closed(properties), "type": schema.get("type", "object")}


def _closed(properties: dict[str, Any]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _nullable(schema: Schema) -> Schema:
    if set(schema) == {"anyOf"}:
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {"anyOf": [schema, {"type": "null"}]}


def _timestamp(schema: Schema, how: TimeFormat) -> Schema:
    said = "A moment of the video, in seconds." if how is TimeFormat.seconds else f"A moment of the video, as {how}."
    about = schema.get("description")
    rest = {word: value for word, value in schema.items() if word not in ("type", "format")}
    kind = "number" if how is TimeFormat.seconds else "string"
    return {**rest, "type": kind, "description": f"{about} {said}" if isinstance(about, str) and about else said}


class _Back:
    """The way back of one answer."""

    def __init__(self, root: Schema, budget: StepBudget) -> None:
        self._root = root
        self._budget = budget

    def value(self, value: object, schema: Schema, name: str = "") -> object:
        """A value as its schema asks for it."""
        self._budget.spend()
        schema = target(schema, self._root)
        if "anyOf" in schema:
            way = self._way(value, schema["anyOf"])
            return value if way is None else self.value(value, way, name)
        if "timestamp" in kinds(schema):
            return _moment(value, TimeFormat(schema["format"]))
        if isinstance(value, dict) and "properties" in schema:
            return self._object(value, schema)
        if isinstance(value, list) and "items" in schema:
            return [self.value(each, schema["items"]) for each in value]
        return _reserved(value, schema) if name in RESERVED else value

    def _object(self, value: dict[str, object], schema: Schema) -> dict[str, object]:
        required, properties = schema.get("required", []), schema["properties"]
        out: dict[str, object] = {}
        for name, inner in value.items():
            wanted = properties.get(name)
            if wanted is None:
                out[name] = inner
            elif inner is not None or name in required or self._takes_null(wanted):
                out[name] = self.value(inner, wanted, name)
        return out

    def _takes_null(self, schema: Schema) -> bool:
        return self._fits(None, target(schema, self._root))

    def _way(self, value: object, ways: list[Schema]) -> Schema | None:
        return next((way for way in ways if self._fits(value, target(way, self._root))), None)

    def _fits(self, value: object, schema: Schema) -> bool:
        """Whether a value is of the kind that a schema asks for, as far as the value's own names and type tell."""
        self._budget.spend()
        if "anyOf" in schema:
            return self._way(value, schema["anyOf"]) is not None
        if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
            return False
        types = kinds(schema)
        if types and not any(_is(value, kind) for kind in types):
            return False
        if isinstance(value, dict) and "properties" in schema:
            given = {name for name, inner in value.items() if inner is not None}
            return set(schema.get("required", [])) <= value.keys() and given <= schema["properties"].keys()
        return True


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    match kind:
        case "null":
            return value is None
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        case "number":
            return isinstance(value, int | float)
        case _:
            return read_time(value) is not None


def _moment(value: object, how: TimeFormat) -> object:
    seconds = read_time(value)
    return value if seconds is None else write_time(seconds, how)


def _reserved(value: object, schema: Schema) -> object:
    """`start_time` and `end_time`: a number stays, an integer is rounded, a string is `hh:mm:ss.fff`."""
    types, seconds = kinds(schema), read_time(value)
    if seconds is None or "number" in types:
        return value
    return int(seconds + 0.5) if "integer" in types else _moment(value, TimeFormat.milliseconds)
