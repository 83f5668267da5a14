"""Answers out of facts: the whole of local-facts as pure functions.

Tokens are words here, runs of letters and digits; nothing is counted of the input. Temperature changes nothing.
"""

import json
import re
from typing import Any

from covey.analysis.backend import ItemAnswer, Refused
from covey.analysis.config import Wanted
from covey.analysis.localfacts.capabilities import MADE_BY, refuse
from covey.analysis.localfacts.filling import fill
from covey.analysis.localfacts.routing import MOST_CHARACTERS, beyond, kinds_of, route
from covey.analysis.localfacts.segmenting import segments_of
from covey.analysis.localfacts.window import View, view
from covey.analysis.localfacts.writing import SIGNED, write
from covey.analysis.media.facts import Facts
from covey.analysis.schema.segments import validate_segments
from covey.analysis.schema.timestamps import TimeFormat

_WORD = re.compile(r"\w+")
_REFERENCE = re.compile(r"<@[^>\s]{1,200}>")
"""Bounded: without it a long text of `<@` would take a time that grows with its square."""


def answer_general(wanted: Wanted, facts: Facts, window: tuple[float, float], max_tokens: int) -> ItemAnswer:
    """The answer to a prompt, as text or as the document of a `json_schema`. `window` is start and end in seconds.

    Text is cut at `max_tokens` words, with `finish_reason` `length`. Raises Refused: `unsupported_by_local_facts` for
    what facts do not say, `max_tokens_too_small` for a document that would be cut.
    """
    prompt = wanted.prompt or {}
    text = str(prompt.get("input_text") or "")
    if prompt.get("media_sources") or _REFERENCE.search(text):
        raise refuse("The prompt brings images of its own (media_sources), which cannot be compared.")
    seen = view(facts, *window)
    schema = (wanted.response_format or {}).get("json_schema")
    if schema is not None:
        return _document(fill(schema, seen, _first_kind(text)), seen, max_tokens)
    return _text(write(route(text), seen), seen, max_tokens)


def answer_segments(wanted: Wanted, facts: Facts, window: tuple[float, float], max_tokens: int) -> ItemAnswer:
    """The segments of `segment_definitions`: `{id: [{start_time, end_time, metadata}]}` as a document.

    Raises Refused like `answer_general`.
    """
    asked = wanted.response_format or {}
    definitions = asked.get("segment_definitions") or []
    how = TimeFormat(asked.get("segment_time_format") or TimeFormat.seconds)
    if any(definition.get("media_sources") for definition in definitions):
        raise refuse("A segment definition brings images of its own (media_sources), which cannot be compared.")
    seen = view(facts, *window)
    lengths = wanted.min_segment_duration, wanted.max_segment_duration
    made = {definition["id"]: segments_of(definition, seen, lengths, how) for definition in definitions}
    wrong = validate_segments(made, definitions, how, (seen.start, seen.end))
    if wrong:
        raise refuse(f"The fields are known, but facts do not fit them. {wrong}")
    return _document(made, seen, max_tokens)


def count_tokens(text: str) -> int:
    """The tokens of an answer: its words."""
    return sum(1 for _ in _WORD.finditer(text))


def _first_kind(prompt: str) -> str:
    """What a prompt beside a schema asks for first; empty where only the schema says.

    The schema's names decide what is answered. A prompt that asks only for what facts cannot say raises Refused.
    """
    said = prompt[:MOST_CHARACTERS].lower()
    kinds = kinds_of(said)
    if not kinds and beyond(said):
        route(prompt)
    return kinds[0] if kinds else ""


def _text(body: str, seen: View, max_tokens: int) -> ItemAnswer:
    room = max(1, max_tokens - count_tokens(SIGNED))
    words = list(_WORD.finditer(body))
    cut = len(words) > room
    if cut:
        body = body[: words[room - 1].end()]
    data = f"{body}\n\n{SIGNED}"
    return _answer(data, "length" if cut else "stop", seen)


def _document(made: Any, seen: View, max_tokens: int) -> ItemAnswer:
    data = json.dumps(made, ensure_ascii=False)
    needs = count_tokens(data)
    if needs > max_tokens:
        said = f"The answer is a document of {needs} tokens (words), and max_tokens is {max_tokens}."
        raise Refused("max_tokens_too_small", f"{said} Ask for fewer fields, a shorter window, or allow more.")
    return _answer(data, "stop", seen)


def _answer(data: str, finish_reason: str, seen: View) -> ItemAnswer:
    return ItemAnswer(
        data=data,
        finish_reason=finish_reason,
        tokens_out=count_tokens(data),
        tokens_in=None,
        seconds=float(seen.seconds),
        made_by=MADE_BY,
        estimated=True,
    )
