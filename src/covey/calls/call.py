"""What the parts of the calls runner say to each other: the script of a call, the order to place it, its report.

agents       an agent and a row of the CSV make a `Script`
speech       makes every line of the script sound (`Clip`), before anybody is rung
runner       puts both into a `CallOrder` and gives it to a trunk
trunks       place the call; in it the `conversation` speaks, listens and decides
outcome      turns the `CallReport` into an outcome of the engine
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

SAMPLE_RATE = 8000
"""All sound is mono, signed 16 bit little-endian PCM at 8,000 samples a second, the rate of G.711."""

FRAME_SECONDS = 0.02
FRAME_BYTES = int(SAMPLE_RATE * FRAME_SECONDS) * 2


class VoicemailPolicy(StrEnum):
    """What to do when a machine answers."""

    hang_up = "hang_up"
    leave_message = "leave_message"
    talk_anyway = "talk_anyway"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing the agent may say: `text` as the transcript has it, `clip` the key of its sound."""

    text: str
    clip: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A question with a yes or a no for an answer: `yes` and `no` are the digits that stand for them.

    `confirm_yes` and `confirm_no` are said after the answer, `again` when nothing was understood. A `required`
    question answered with no makes the call `declined`.
    """

    name: str
    question: Line
    again: Line
    confirm_yes: Line
    confirm_no: Line
    yes: str = "1"
    no: str = "2"
    required: bool = True


@dataclass(frozen=True, slots=True)
class Script:
    """Everything the agent may say in one call, its placeholders filled. `opening` is said first: the recording
    notice, if there is one, then the greeting. `detect_machine` says whether to listen for a mailbox at all."""

    opening: tuple[Line, ...]
    asks: tuple[Ask, ...]
    goodbye: Line
    voicemail: VoicemailPolicy = VoicemailPolicy.hang_up
    voicemail_message: Line | None = None
    detect_machine: bool = True

    def lines(self) -> tuple[Line, ...]:
        """Every line, in the order it could be said."""
        asked = [line for ask in self.asks for line in (ask.question, ask.again, ask.confirm_yes, ask.confirm_no)]
        last = (self.voicemail_message,) if self.voicemail_message else ()
        return (*self.opening, *asked, self.goodbye, *last)


@dataclass(frozen=True, slots=True)
class StartLease:
    """When a call may start, in seconds of the machine's monotonic clock: not before `start_at`, and if it has
    not started by `until` it must not start at all."""

    start_at: float
    until: float


@dataclass(frozen=True, slots=True)
class CallOrder:
    """An order to place one call, given to a trunk once and never repeated.

    `number` is E.164 with its `+`. `clips` maps the keys of the script's lines to files of raw PCM.
    `recording` is where a stereo recording is written (left us, right them), None for none.
    """

    batch: str
    item: str
    attempt: int
    number: str
    script: Script
    clips: dict[str, str]
    lease: StartLease
    ring_seconds: float
    longest_seconds: float
    caller: str | None = None
    recording: str | None = None

    @property
    def id(self) -> str:
        """The call's name among its trunk's calls: item and attempt."""
        return f"{self.item}-{self.attempt}"


class Speaker(StrEnum):
    """Who said a turn."""

    agent = "agent"
    callee = "callee"


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said or pressed. `at` is in seconds from the answer; `confidence` is 1 for what the agent said and
    for a pressed digit; `said_for` is how many seconds of an agent's line were really played (barge-in cuts it)."""

    speaker: Speaker
    text: str
    at: float
    confidence: float = 1.0
    digit: str | None = None
    said_for: float | None = None


class CallEnd(StrEnum):
    """How a call ended, before the engine's words."""

    successful = "successful"
    declined = "declined"
    no_response = "no_response"
    hung_up = "hung_up"
    voicemail = "voicemail"
    too_long = "too_long"
    aborted = "aborted"
    busy = "busy"
    no_answer = "no_answer"
    unavailable = "unavailable"
    rejected = "rejected"
    invalid_number = "invalid_number"
    moved = "moved"
    codec_mismatch = "codec_mismatch"
    trunk_auth = "trunk_auth"
    trunk_unavailable = "trunk_unavailable"
    no_final_answer = "no_final_answer"
    outcome_unknown = "outcome_unknown"
    not_started = "not_started"


@dataclass(frozen=True, slots=True)
class Media:
    """What the network carried: RTP packets sent, received and lost, and how long after the answer our first
    packet of speech left (seconds)."""

    codec: str | None = None
    sent: int = 0
    received: int = 0
    lost: int = 0
    first_word: float | None = None


class CallClock:
    """What the time is within one call: one look at the time of day, then monotonic time since. So a clock that is set
    during a call neither stretches nor shrinks it, nor what is charged for it. All times of a report come from one."""

    __slots__ = ("_began", "_since")

    def __init__(self) -> None:
        self._began = datetime.now(UTC)
        self._since = time.monotonic()

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return self._began + timedelta(seconds=time.monotonic() - self._since)


@dataclass(frozen=True, slots=True)
class CallReport:
    """What came of a call order. Comes exactly once.

    Its times are of one clock (`CallClock`): what is charged is the difference between two of them.
    `dialled_at` is None if no INVITE left; `answered_at` is None if nobody answered. `text` is what the stack or
    the far side said about the end. `message_left` is about mailboxes only. `answerer` is who answered, as far as the
    sound tells: human, machine or unknown; None if nobody did, or if the report could not say any more.
    """

    end: CallEnd
    ended_at: datetime
    dialled_at: datetime | None = None
    answered_at: datetime | None = None
    sip_code: int | None = None
    text: str = ""
    sip_call_id: str | None = None
    turns: tuple[Turn, ...] = ()
    answers: dict[str, bool] = field(default_factory=dict)
    message_left: bool = False
    media: Media = Media()
    recording: str | None = None
    answerer: str | None = None


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a recognizer made of an utterance: `text` is one of the phrases it was told to expect, or ""."""

    text: str
    confidence: float


Recognize = Callable[[bytes, tuple[str, ...]], Awaitable[Recognition]]
"""Turns an utterance (PCM) into one of the expected phrases."""


class CallWatch(Protocol):
    """Is told how a call goes on while it does, as far as the trunk comes to know it: the report alone decides.
    `dialling` comes before an INVITE can leave, `reached` when the far side has it for certain."""

    def dialling(self) -> None: ...
    def reached(self) -> None: ...
    def ringing(self) -> None: ...
    def answered(self) -> None: ...
    def turn(self, turn: Turn) -> None: ...


class Trunk(Protocol):
    """A way to place calls. `live` says whether real people's phones can ring."""

    name: str
    live: bool

    async def start(self) -> None:
        """Make it ready to place calls."""
        ...

    async def place(self, order: CallOrder, watch: CallWatch) -> CallReport:
        """Place one call and see it to its end. Never raises for what the far side does."""
        ...

    async def withdraw(self, call: str) -> None:
        """Do not dial a call (by its order's id) whose dial has not begun: its report says `not_started`. Any other
        goes on, and its watch is told `reached` as soon as the far side has it."""
        ...

    async def hang_up(self, call: str) -> None:
        """End one call (by its order's id) now: CANCEL while it rings, BYE after. Its report says `aborted`, and comes
        when no phone rings any more: an INVITE that nobody answers at all may take 32 s to its end."""
        ...

    async def ping(self) -> str | None:
        """None if the far side answers; else a sentence saying what is wrong."""
        ...

    async def stop(self) -> None:
        """End every call and leave nothing running."""
        ...
