"""Makes frozen dataclasses of JSON answers.

A field `total_calls` reads the JSON member `totalCalls`, or `total_calls` where the class says `SNAKE = True`, unless
its metadata names another by `wire`. A missing member, or null, leaves the default; members nobody knows are ignored;
`raw` keeps the whole object. Times come as milliseconds since 1970 or in RFC 3339 and become aware datetimes in UTC.
"""

import types
import typing
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin

T = TypeVar("T")


class WrongShape(ValueError):
    """The answer has not the shape it should have; the text names the member."""


def items(value: object) -> list[Any]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def read(kind: type[T], data: object) -> T:
    """An instance of the dataclass `kind` from the JSON object `data`. Raises WrongShape."""
    if not isinstance(data, dict):
        raise WrongShape(f"{kind.__name__} should be an object, not {type(data).__name__}")
    values: dict[str, Any] = {}
    for field, hint in _fields(cast(Any, kind)):
        if field.name == "raw":
            values["raw"] = data
            continue
        name = wire_name(field, snake=getattr(kind, "SNAKE", False))
        found = data.get(name)
        if found is not None:
            values[field.name] = _value(hint, found, f"{kind.__name__}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise WrongShape(f"{kind.__name__} has no {name}")
    return kind(**values)


def wire_name(field: "Field[Any]", *, snake: bool = False) -> str:
    """What the JSON calls a field."""
    first, *rest = field.name.split("_")
    default = field.name if snake else first + "".join(word.title() for word in rest)
    return str(field.metadata.get("wire") or default)


@cache
def _fields(kind: Any) -> "tuple[tuple[Field[Any], Any], ...]":
    wakeups = typing.get_type_hints(kind)
    return tuple((field, wakeups[field.name]) for field in fields(kind))


def _value(hint: Any, found: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _value(next(arm for arm in get_args(hint) if arm is not type(None)), found, where)
    if origin is tuple:
        return tuple(_value(get_args(hint)[0], each, where) for each in items(found))
    if hint is datetime:
        return _time(found, where)
    if is_dataclass(hint) and isinstance(hint, type):
        return read(hint, found)
    if hint in (int, float, bool, str):
        return _plain(hint, found, where)
    return found


def _plain(hint: type, found: Any, where: str) -> Any:
    if isinstance(found, hint):
        return found
    if isinstance(found, (int, float)) and hint in (int, float):
        return hint(found)
    if hint is str and isinstance(found, (int, float)):
        return str(found)
    raise WrongShape(f"{where} should be {hint.__name__}, not {type(found).__name__}")


def _time(found: Any, where: str) -> datetime:
    try:
        if isinstance(found, str):
            return datetime.fromisoformat(found).astimezone(UTC)
        return datetime.fromtimestamp(float(found) / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise WrongShape(f"{where} is not a time") from error
