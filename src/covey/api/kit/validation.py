"""What pydantic finds wrong with a request, said to somebody who knows no Python."""

from collections.abc import Mapping
from typing import Any

_EXPECTED = {
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "list_type": "a list",
    "string_type": "a string",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
_BOUNDS = {
    "greater_than_equal": ("at least {}", "ge"),
    "greater_than": ("more than {}", "gt"),
    "less_than_equal": ("at most {}", "le"),
    "less_than": ("less than {}", "lt"),
    "literal_error": ("{}", "expected"),
    "enum": ("{}", "expected"),
}
_LENGTHS = {
    "too_short": ("at least", "min_length", "entry", "entries"),
    "too_long": ("at most", "max_length", "entry", "entries"),
    "string_too_short": ("at least", "min_length", "character", "characters"),
    "string_too_long": ("at most", "max_length", "character", "characters"),
}


def validation_message(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors without its place, as in "expects a list". What is not known here is said in its words,
    and so is what says no more than its text."""
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind in _EXPECTED:
        return f"expects {_EXPECTED[kind]}"
    if kind in _BOUNDS and _BOUNDS[kind][1] in context:
        text, name = _BOUNDS[kind]
        return f"expects {text.format(context[name])}"
    if kind in _LENGTHS and _LENGTHS[kind][1] in context:
        text, name, one, more = _LENGTHS[kind]
        return f"needs {text} {context[name]:,} {one if context[name] == 1 else more}"
    if kind == "missing":
        return "it is required"
    if kind == "string_pattern_mismatch" and "pattern" in context:
        return f"does not match {context['pattern']}"
    return str(error["msg"]).removeprefix("Value error, ")


def sentence(first: Mapping[str, Any]) -> str:
    """One of pydantic's errors as a sentence: which field, what is wrong with it."""
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    what = validation_message(first)
    if first["type"] == "json_invalid":
        return f"The body is not valid JSON: {first.get('ctx', {}).get('error', what)}"
    if first["type"] == "extra_forbidden":
        what = "there is no such field"
    return f"{'.'.join(place)}: {what}" if place else f"The body: {what}"
