"""What an endpoint replied, read defensively: compatible servers leave out what OpenAI's own always sends."""

import json
import math
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from covey.analysis.backend import Refused
from covey.analysis.openai.document import clean, clean_all

STOP = "stop"
LENGTH = "length"
REFUSED = "model_refused"

_WORDS = {
    "stop": STOP,
    "eos": STOP,
    "eos_token": STOP,
    "stop_sequence": STOP,
    "end_turn": STOP,
    "length": LENGTH,
    "max_tokens": LENGTH,
}
"""Why a reply ended, as servers say it, and as we do."""

_CHARACTERS_A_TOKEN = 4

_MOST_TOKENS = 10**12
"""A count beyond is no count: it would not fit into the store, and no model reads so much."""


class MalformedReply(Exception):
    """It is no chat completion."""


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: Any = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as reported; None where they were not. `estimated`: `tokens_out` was counted here."""

    tokens_in: int | None
    tokens_out: int
    estimated: bool = False

    def __add__(self, other: "Usage") -> "Usage":
        """Both together. A sum of which one part is unknown is unknown."""
        known = self.tokens_in is not None and other.tokens_in is not None
        return Usage(
            (self.tokens_in or 0) + (other.tokens_in or 0) if known else None,
            self.tokens_out + other.tokens_out,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """The text of a reply, why it ended (`stop` or `length`), and what it cost."""

    text: str
    finish_reason: str
    usage: Usage


def read_reply(body: bytes, whom: str) -> Reply:
    """A chat completion's body. Raises MalformedReply, and Refused when the model would not answer."""
    try:
        completion = _completion(body)
    except (ValueError, RecursionError) as error:
        raise MalformedReply from error
    if not completion.choices:
        raise MalformedReply
    choice = completion.choices[0]
    why = (choice.finish_reason or "").lower()
    if choice.message.refusal or why.startswith(("content_filter", "safety", "refusal")):
        raise Refused(REFUSED, f"{whom} declined to answer about this video.")
    if why not in _WORDS:
        raise MalformedReply
    text = clean(choice.message.content or "")
    return Reply(text, _WORDS[why], _usage(completion.usage, text))


def _completion(body: bytes) -> _Completion:
    """Strictly read; or, as some models write halves of surrogate pairs, without those. Raises ValueError."""
    try:
        return _Completion.model_validate_json(body)
    except ValidationError:
        return _Completion.model_validate(clean_all(json.loads(body)))


def _usage(reported: object, text: str) -> Usage:
    given = reported if isinstance(reported, dict) else {}
    tokens_in, tokens_out = (_count(given.get(name)) for name in ("prompt_tokens", "completion_tokens"))
    if tokens_out is None:
        return Usage(tokens_in, estimated_tokens(text), estimated=True)
    return Usage(tokens_in, tokens_out)


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MOST_TOKENS else None


def estimated_tokens(text: str) -> int:
    """About how many tokens a text is: a quarter of its characters."""
    return math.ceil(len(text) / _CHARACTERS_A_TOKEN)
