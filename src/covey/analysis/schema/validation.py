"""Whether an answer is what its schema asks for, in a sentence that a repair attempt can use.

The `jsonschema` library does it, on the schema rewritten to what it knows. `pattern` is ours, matched in linear time
and from a budget of its own; and keywords that lead to other schemas spend from a budget, so that branches that double
with every level end.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from math import isfinite
from typing import Any
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from covey.analysis.schema.dialect import MAX_JSON_DEPTH, Schema, kinds, measure, quoted, shown
from covey.analysis.schema.patterns import Patterns, Unreadable
from covey.analysis.schema.timestamps import RESERVED, TimeFormat, is_time

MOST_VALUES = 1_000_000
STEPS_A_SCHEMA = 5_000
STEPS_A_VALUE = 100
MOST_SEARCHED = 200_000_000
"""Instructions of patterns times bytes of text that one answer may cost: half a second at the worst."""


class Costly(Exception):
    """The budget is used up."""


class StepBudget:
    """Steps that are left. Whoever works spends before it does."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Take steps off. Raises Costly once there are none left."""
        self._left -= steps
        if self._left < 0:
            raise Costly


_Errors = Iterator[ValidationError]
_EXTEND: Any = extend
"""The library gives it no types."""


def validate(answer: object, schema: Schema) -> str | None:
    """None if an answer fits the schema of a request; else what is wrong first, with its path and what would be right.

    Expects a schema that `check_request_schema` let pass. Costs at most its budget; an answer that needs more is said
    not to be checkable.
    """
    nodes, depth, _ = measure(answer, MOST_VALUES)
    if depth > MAX_JSON_DEPTH or nodes >= MOST_VALUES:
        return f"The answer is nested deeper than {MAX_JSON_DEPTH} levels or has more than {MOST_VALUES:,} values."
    if not _finite(answer):
        return "The answer has a number that JSON cannot write (NaN or infinite)."
    try:
        error = best_match(_validator(schema, StepBudget(STEPS_A_SCHEMA + STEPS_A_VALUE * nodes)).iter_errors(answer))
    except (Costly, Unreadable, RecursionError):
        return "The answer cannot be checked: with this schema it would cost more than is allowed."
    return None if error is None else _sentence(error)


def standard(schema: Schema) -> Schema:
    """The schema as a standard validator reads it: `timestamp` and the reserved names become a type and a format."""
    out = dict(schema)
    if "timestamp" in kinds(schema):
        out["type"] = "number" if schema.get("format") == TimeFormat.seconds else "string"
    if "properties" in schema:
        out["properties"] = {name: _property(name, inner) for name, inner in schema["properties"].items()}
    if "items" in schema:
        out["items"] = standard(schema["items"])
    if "anyOf" in schema:
        out["anyOf"] = [standard(inner) for inner in schema["anyOf"]]
    if "$defs" in schema:
        out["$defs"] = {name: standard(inner) for name, inner in schema["$defs"].items()}
    for word in ("$schema", "$comment"):
        out.pop(word, None)
    return out


def _property(name: str, schema: Schema) -> Schema:
    out = standard(schema)
    if name in RESERVED and "string" in kinds(schema):
        out["format"] = TimeFormat.milliseconds.value
    return out


def _validator(schema: Schema, budget: StepBudget) -> Any:
    patterns, searched = Patterns(), StepBudget(MOST_SEARCHED)

    def counted(word: str) -> Callable[..., _Errors]:
        check = Draft202012Validator.VALIDATORS[word]

        def spending(validator: Any, value: Any, instance: Any, inside: Any) -> _Errors:
            budget.spend(_price(word, value))
            yield from check(validator, value, instance, inside) or ()

        return spending

    def pattern(_: Any, value: str, instance: Any, __: Any) -> _Errors:
        if not isinstance(instance, str):
            return
        found = patterns.get(value)
        searched.spend(found.size * len(instance))
        if not found.search(instance):
            yield ValidationError(f"{quoted(instance)} does not match the pattern {quoted(value)}")

    ours = {word: counted(word) for word in ("$ref", "anyOf", "properties", "enum")}
    made = _EXTEND(Draft202012Validator, {**ours, "pattern": pattern})
    return made(standard(schema), format_checker=_FORMATS)


def _price(word: str, value: Any) -> int:
    """The steps that a keyword costs; `anyOf` sorts the errors of all its ways."""
    match word:
        case "$ref":
            return 10
        case "anyOf":
            return 4 * len(value) + len(value) ** 2 // 100
        case _:
            return 1 + len(value) // 10


def _sentence(error: ValidationError) -> str:
    """The error with its path, and what the schema wants there; never more of the answer than a piece."""
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    wanted = {word: value for word, value in schema.items() if word in _TOLD}
    said = error.message if len(error.message) <= 200 else error.message[:197] + "..."
    hint = f" Right would be: {shown(wanted)}." if wanted else ""
    return f"At {error.json_path}: {said}.{hint}"


_TOLD = ("type", "format", "enum", "const", "required", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def _finite(answer: object) -> bool:
    open_ = [answer]
    while open_:
        value = open_.pop()
        if isinstance(value, float) and not isfinite(value):
            return False
        if isinstance(value, dict):
            open_.extend(value.values())
        elif isinstance(value, list):
            open_.extend(value)
    return True


def _date_time(text: str) -> bool:
    return "T" in text.upper() and datetime.fromisoformat(text).tzinfo is not None


def _time(text: str) -> bool:
    return datetime.fromisoformat(f"2000-01-01T{text}").tzinfo is not None and text[2:3] == ":"


def _uuid(text: str) -> bool:
    return str(UUID(text)) == text.lower()


def _checker() -> FormatChecker:
    checker = FormatChecker(formats=())
    rules: dict[str, Callable[[str], bool]] = {
        "date-time": _date_time,
        "date": lambda text: len(text) == 10 and bool(date.fromisoformat(text)),
        "time": _time,
        "uuid": _uuid,
        TimeFormat.clock: lambda text: is_time(text, TimeFormat.clock),
        TimeFormat.milliseconds: lambda text: is_time(text, TimeFormat.milliseconds),
    }

    def add(name: str, rule: Callable[[str], bool]) -> None:
        checker.checkers[name] = (lambda value: not isinstance(value, str) or rule(value), (ValueError,))

    for name, rule in rules.items():
        add(str(name), rule)
    return checker


_FORMATS = _checker()
