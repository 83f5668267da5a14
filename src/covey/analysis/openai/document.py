"""The JSON document in what a model wrote, and text as the store can keep it."""

import json
import re
from typing import Any, NoReturn

_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"```[a-zA-Z]*[^\S\n]*\n(.*?)```", re.DOTALL)
"""With `\\s*` before the newline, a fence and a long run of newlines (models do that) would take ages."""
_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")
_OPENING = re.compile(r"[{\[]")
_MOST_TRIES = 64
"""How many brackets of a text are looked at; more is no document with some words around it."""


class NoDocument(Exception):
    """There is no JSON document in it, or more than one. The text says which."""


def find_document(text: str) -> Any:
    """The one JSON document in `text`: alone, in a code fence, or with prose around it.

    Its texts are as `clean` leaves them. Raises NoDocument. `NaN` and `Infinity` are no JSON (RFC 8259 section 6).
    """
    text = _THOUGHT.sub("", text, count=1)
    fenced = _FENCED.findall(text)
    for whole in (text, *(fenced if len(fenced) == 1 else ())):
        try:
            return clean_all(_DECODER.decode(whole.strip()))
        except (ValueError, RecursionError):
            continue
    try:
        return clean_all(_among_words(text))
    except RecursionError:
        raise NoDocument("The JSON in the answer is nested too deeply.") from None


def _among_words(text: str) -> Any:
    found = _all_in(text)
    objects = [value for value in found if isinstance(value, dict)]
    for candidates in (objects, found):
        if len(candidates) == 1:
            return candidates[0]
    if objects:
        raise NoDocument(f"There are {len(objects)} JSON objects in the answer; it must be exactly one.")
    raise NoDocument("The answer is not JSON.")


def _all_in(text: str) -> list[Any]:
    found: list[Any] = []
    at = 0
    for _ in range(_MOST_TRIES):
        opening = _OPENING.search(text, at)
        if opening is None:
            break
        try:
            value, at = _DECODER.raw_decode(text, opening.start())
            found.append(value)
        except (ValueError, RecursionError):
            at = opening.start() + 1
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def dump(document: Any) -> str:
    """A document as the text that is kept. Shape: what `find_document` gave, translated or not."""
    return json.dumps(clean_all(document), ensure_ascii=False, allow_nan=False)


def clean(text: str) -> str:
    """`text` without what no database keeps: NUL and halves of surrogate pairs become U+FFFD."""
    return _UNKEEPABLE.sub("\ufffd", text)


def clean_all(value: Any) -> Any:
    """All texts in a document without these."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [clean_all(part) for part in value]
    if isinstance(value, dict):
        return {clean(key): clean_all(part) for key, part in value.items()}
    return value
