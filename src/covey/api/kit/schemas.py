"""The shapes of answers that are the same in Covey's and Trillet's API."""

from typing import NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

closed = with_config(ConfigDict(extra="forbid"))


@closed
class Problem(TypedDict):
    """An error: a code for programs, a sentence for people, and what else helps."""

    error: str
    message: str
    requestId: NotRequired[str]


@closed
class LimitError(TypedDict):
    code: str
    message: str
    reset_at: NotRequired[str]


@closed
class LimitReached(TypedDict):
    """Too many requests."""

    error: LimitError


@closed
class Done(TypedDict):
    """What was done."""

    id: str
    message: str
