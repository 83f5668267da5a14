"""What answers: the protocol between the analysis runner and a model, real or not."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from covey.analysis.config import Mode, Wanted
from covey.domain.run import Blame

T = TypeVar("T")

GENERAL_TOKENS = 4096
SEGMENT_TOKENS = 32768
"""The most tokens of an answer where nobody says how many (contract section 3)."""


def most_tokens(mode: Mode, wanted: Wanted) -> int:
    """The most tokens that an answer may have."""
    return wanted.max_tokens or (GENERAL_TOKENS if mode is Mode.general else SEGMENT_TOKENS)


class Patiently(Protocol):
    """Makes a request, and makes it again while it raises Busy and an item may wait; then raises that Busy. One for
    which something was `paid` already waits longer."""

    async def __call__(self, request: Callable[[], Awaitable[T]], /, *, paid: bool = True) -> T: ...


async def at_once(request: Callable[[], Awaitable[T]], /, *, paid: bool = True) -> T:
    """The patience of nobody."""
    return await request()


@dataclass(frozen=True, slots=True)
class ItemRequest:
    """One item as a backend gets it.

    `file` is the video's bytes on this machine, `asset` its id, by which facts are cached; `start` and `end` are the
    window in seconds, within the `seconds` that the video lasts. `progress` is told seconds done, and of how many.
    `media` gives the bytes of a media source by its name. `trace` names the item in logs. `patiently` is for a request
    that much was done for: frames were sampled, or another request was paid for.
    """

    asset: str
    file: Path
    mode: Mode
    wanted: Wanted
    seconds: float
    start: float
    end: float
    progress: Callable[[float, float], None]
    media: Callable[[str], Awaitable[bytes]]
    trace: str = ""
    patiently: Patiently = at_once

    @property
    def max_tokens(self) -> int:
        """The most tokens the answer may have."""
        return most_tokens(self.mode, self.wanted)


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """What came back. `data` is text, or a JSON document as text. `finish_reason` is `stop` or `length`.

    `tokens_in` is None where nobody reported it; `estimated` says that `tokens_out` was counted here. `made_by` names
    the analyser. `seconds` is how much of the video it is about.
    """

    data: str
    finish_reason: str
    tokens_out: int
    tokens_in: int | None
    seconds: float
    made_by: str
    estimated: bool = False


class Refused(Exception):
    """This one item fails. `code` is for programs, the text a sentence; `blame` is what it tells of the model: that it
    works, if nobody says otherwise."""

    def __init__(self, code: str, message: str, blame: Blame = Blame.item) -> None:
        super().__init__(message)
        self.code = code
        self.blame = blame


class PerhapsBroken(Refused):
    """This one item fails, and whether the model is broken nobody knows: it answered 500, say."""


class TryAgain(Refused):
    """This one item fails now, and another time may not: it is tried again, as often as its batch says."""


class Busy(Exception):
    """The model takes no more now; ask again after `seconds`."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class Down(Exception):
    """The model was not reached, or says that it is broken for everybody; or something else that all items need.
    `ours`: that is something of this server's own."""

    def __init__(self, message: str, code: str = "model_down", *, ours: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.ours = ours


class Backend(Protocol):
    """Answers about videos. A call that is cancelled drops its request."""

    async def analyze(self, ask: ItemRequest) -> ItemAnswer:
        """The answer. Raises Refused, PerhapsBroken, TryAgain, Busy or Down."""
        ...

    async def ping(self) -> str | None:
        """None if it answers; else a sentence saying what is wrong."""
        ...

    async def works(self) -> str | None:
        """None if it answers a tiny question; else a sentence. It tells a bad video from a broken model."""
        ...

    async def close(self) -> None:
        """End what it started."""
        ...
