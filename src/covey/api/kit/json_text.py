"""JSON that a client wrote, read with bounds: how many values, how deep, and nothing that no store keeps.

The one way by which JSON comes in: bodies, and fields of forms and queries that hold it as text. What passes is safe
for everything behind: for recursion, for both databases, and for `orjson`, which writes no more than 254 levels.
"""

import json
import re
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

import orjson
from pydantic_core import from_json

MOST_DEPTH = 64
"""Lists and objects inside each other."""

MOST_VALUES = 50_000
"""So many values, names and separators a text may have unless its route says otherwise."""

_PIECE = 256 * 1024
_LARGE = 1024 * 1024
_BACKSLASHES = re.compile(rb"\\*")
_NUL = rb"\u0000"
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ALIKE = bytes.maketrans(b"{}", b"[]")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}:,]', re.DOTALL)
_LONG = re.compile(rb"[0-9]{19}")
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1

Path = list[str | int]


class Unfit(Exception):
    """The text is refused. `path` leads to the field, empty for the whole; `what` is wrong with it, half a sentence."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(what)
        self.path = [step if isinstance(step, int) else step[:60] for step in path[:8]]
        self.what = what


def read_json(text: bytes, most_values: int = MOST_VALUES) -> Any:
    """What a text of JSON says. Raises Unfit, and JSONDecodeError for what is no JSON (RFC 8259; so no NaN)."""
    if _may_be_deep(text) and (path := _deep_at(text)) is not None:
        raise Unfit(path, f"nested deeper than {MOST_DEPTH} levels")
    if crowded(text, most_values):
        raise Unfit([], f"it has more than {most_values:,} values, names and separators")
    data = _parsed(text)
    if any(text.find(_NUL, begin, begin + _PIECE + len(_NUL)) >= 0 for begin in range(0, len(text), _PIECE)):
        _check(data, _no_nul, "holds a NUL character")
    if len(text) < _LARGE and _LONG.search(text):
        _check(json.loads(text), _no_large_number, "the number is too large; at most 64 bits are kept")
    return data


def _parsed(text: bytes) -> Any:
    """The values of a text. Of a large one most is a video or a picture in base64: pydantic's parser takes a tenth of
    the time for it, holding the interpreter as orjson does, but takes numbers for infinite that orjson refuses."""
    if len(text) < _LARGE:
        return orjson.loads(text)
    try:
        data = from_json(text, allow_inf_nan=False)
        _check(data, lambda value: not isinstance(value, float) or isfinite(value), "number is infinite")
    except (ValueError, Unfit) as error:
        raise orjson.JSONDecodeError(str(error), "", 0) from None
    return data


def write_json(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """JSON of what the store gave; `default` as orjson has it. What was kept before there was a limit may be nested
    more deeply than orjson writes."""
    try:
        return orjson.dumps(value, default=default)
    except orjson.JSONEncodeError:
        plain = default or (lambda other: orjson.loads(orjson.dumps(other)))
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=plain).encode()


def crowded(text: bytes, most: int) -> bool:
    """Whether a text of JSON has more than `most` strings, objects, lists and commas. What stands inside of strings
    does not count. Costs little: a body of 32 MiB can hold ten million empty objects, which would take a gigabyte."""
    if _count(text, b'"', b",", b"{", b"[") <= most:
        return False
    found = 0
    for quotes, outside in _outside(text):
        found += (quotes + 1) // 2 + sum(outside.count(mark) for mark in (b",", b"{", b"["))
        if found > most:
            return True
    return False


def _count(text: bytes, *marks: bytes) -> int:
    """How often they are there; piece by piece, as 32 MiB in one call would keep the interpreter."""
    return sum(text.count(mark, begin, begin + _PIECE) for begin in range(0, len(text), _PIECE) for mark in marks)


def _outside(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Piece by piece: the quotes in it, and what stands outside of strings."""
    begin, inside = 0, 0
    while begin < len(text):
        end = begin + _PIECE
        if text[end - 1 : end] == b"\\":
            after = _BACKSLASHES.match(text, end)
            end = (after.end() if after else end) + 1
        plain = text[begin:end].replace(rb"\\", b"").replace(rb"\"", b"")
        parts = plain.split(b'"')
        yield len(parts) - 1, b"".join(parts[inside::2])
        inside ^= (len(parts) - 1) & 1
        begin = end


def _may_be_deep(text: bytes) -> bool:
    """False where brackets close before there are too many levels; they are taken away from the inside out."""
    if _count(text, b"[", b"{") <= MOST_DEPTH:
        return False
    left = b"".join(outside.translate(_ALIKE, _NO_BRACKETS) for _, outside in _outside(text))
    for _ in range(MOST_DEPTH):
        fewer = left.replace(b"[]", b"")
        if len(fewer) == len(left):
            break
        left = fewer
    return bool(left)


def _deep_at(text: bytes) -> Path | None:
    """The field in which a value lies too deep, `metadata` or `questions.0.note`. Makes nothing of what it reads."""
    path: Path = []
    name = b""
    for token in _TOKEN.finditer(text):
        match token[0]:
            case b"{" | b"[":
                if len(path) == MOST_DEPTH:
                    of_objects = isinstance(path[1], int) and isinstance(path[2], str)
                    return path[: 3 if of_objects else 1]
                path.append("" if token[0] == b"{" else 0)
            case b"}" | b"]":
                if not path:
                    return None
                path.pop()
            case b":":
                if path:
                    path[-1] = name[1:-1][:60].decode("utf-8", "replace")
            case b",":
                if path and isinstance(path[-1], int):
                    path[-1] += 1
            case string:
                name = string
    return None


def _check(data: Any, fits: Any, what: str) -> None:
    """Raise Unfit for the first value or name in `data` that does not fit."""
    open_: list[tuple[Any, Path]] = [(data, [])]
    while open_:
        value, path = open_.pop()
        if isinstance(value, dict):
            for name, inner in value.items():
                if not fits(name):
                    raise Unfit([*path, name], what)
                open_.append((inner, [*path, name]))
        elif isinstance(value, list):
            open_.extend((inner, [*path, index]) for index, inner in enumerate(value))
        elif not fits(value):
            raise Unfit(path, what)


def _no_nul(value: Any) -> bool:
    return not isinstance(value, str) or "\0" not in value


def _no_large_number(value: Any) -> bool:
    return not isinstance(value, int) or _LOWEST <= value <= _HIGHEST
