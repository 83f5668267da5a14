"""Agents: what is said in a call, to whom it may be repeated, and how a row of the CSV fills it in."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel, ConfigDict, Field, model_validator

from covey.calls.call import Ask, Line, Script, VoicemailPolicy
from covey.calls.text import visible

LONGEST_TEXT = 4000
"""The most characters of one of an agent's texts, placeholders unfilled."""

LONGEST_LINE = 1000
"""The most characters that are spoken of one line: a bit more than a minute. The rest is cut at a word."""

LONGEST_VALUE = 200
"""The most characters of a row's value that are spoken."""

DEFAULT_NOTICE = "This call is recorded."

_PLACEHOLDER = re.compile(r"\{\{([^{}]{1,100})\}\}|\{([^{}]{1,100})\}")
_DIGIT = r"^[0-9*#]$"
_UNSPOKEN = {"Cc": " ", "Zl": " ", "Zp": " ", "Cf": "", "Cs": "", "Co": "", "Cn": ""}
_MARKUP = str.maketrans({"<": " ", ">": " ", "[": " ", "]": " ", "{": " ", "}": " ", "|": " ", "\\": " "})

Text = str


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class RetryGap(_Model):
    """How long to wait before the next attempt."""

    days: float = Field(default=0, ge=0, le=30)
    hours: float = Field(default=0, ge=0, le=24 * 30)

    @property
    def seconds(self) -> float:
        """The gap in seconds."""
        return (self.days * 24 + self.hours) * 3600


class Question(_Model):
    """A question that is answered with yes or no, spoken or by a digit.

    `ask` should name the digits ("Press 1 for yes, 2 for no"); if it names neither, that sentence is added. A no to a
    `required` question ends the call as `declined`; no answer to it ends the call as `no_response`.
    """

    name: str = Field(min_length=1, max_length=100)
    ask: Text = Field(min_length=1, max_length=LONGEST_TEXT)
    again: Text | None = Field(default=None, max_length=LONGEST_TEXT)
    confirm_yes: Text = Field(default="Thank you.", max_length=LONGEST_TEXT)
    confirm_no: Text = Field(default="All right.", max_length=LONGEST_TEXT)
    yes: str = Field(default="1", pattern=_DIGIT)
    no: str = Field(default="2", pattern=_DIGIT)
    required: bool = True

    @model_validator(mode="after")
    def _digits_differ(self) -> "Question":
        if self.yes == self.no:
            raise ValueError(f"question {self.name!r} has the same digit for yes and no")
        return self

    def question_text(self) -> Text:
        """What is asked, the digits named."""
        return self.ask if self._names_digits(self.ask) else f"{self.ask.rstrip()} {self._offer()}"

    def again_text(self) -> Text:
        """What is said when nothing was heard or understood."""
        if self.again is None:
            return f"Sorry, I did not get that. {self.question_text()}"
        return self.again if self._names_digits(self.again) else f"{self.again.rstrip()} {self._offer()}"

    def _offer(self) -> str:
        return f"Please say yes or no, or press {_spoken(self.yes)} for yes, {_spoken(self.no)} for no."

    def _names_digits(self, text: str) -> bool:
        words = _PLACEHOLDER.sub(" ", text).lower().split()
        return any("press" in word for word in words)


class Agent(_Model):
    """An agent as a batch freezes it. Texts may hold `{column}` or `{{column}}` for any column of the CSV.

    `voice` "" is the synthesizer's own. `smart_callback` and what follows it are the agent's defaults for retries;
    `retry_voicemail` says whether a mailbox counts as not reached. What is None is the trunk's.
    """

    greeting: Text = Field(default="", max_length=LONGEST_TEXT)
    questions: tuple[Question, ...] = Field(default=(), max_length=20)
    goodbye: Text = Field(default="Goodbye.", max_length=LONGEST_TEXT)
    voicemail: VoicemailPolicy = VoicemailPolicy.hang_up
    voicemail_message: Text | None = Field(default=None, max_length=LONGEST_TEXT)
    detect_machine: bool = True
    voice: str = Field(default="", pattern=r"^[\w+-]{0,64}$")
    ring_seconds: int | None = Field(default=None, ge=15, le=120)
    longest_seconds: int | None = Field(default=None, ge=10, le=3600)
    recording: bool = False
    recording_notice: Text = Field(default=DEFAULT_NOTICE, min_length=1, max_length=LONGEST_TEXT)
    caller: str | None = Field(default=None, pattern=r"^\+[1-9]\d{1,14}$")
    smart_callback: bool = Field(default=False, alias="smartCallback")
    max_attempts: int = Field(default=5, ge=1, le=10, alias="maxAttemptsForSmartCallback")
    gaps: tuple[RetryGap, ...] = Field(
        default=(RetryGap(hours=1),), min_length=1, max_length=10, alias="gapBetweenEachAttemptForSmartCallback"
    )
    retry_voicemail: bool = False

    @model_validator(mode="after")
    def _hangs_together(self) -> "Agent":
        names = [question.name for question in self.questions]
        if len(set(names)) < len(names):
            raise ValueError("two questions have the same name")
        if self.voicemail is VoicemailPolicy.leave_message and not _speakable(self.voicemail_message or ""):
            raise ValueError("to leave a message in a mailbox, voicemail_message must say something")
        if self.recording and not _speakable(self.recording_notice):
            raise ValueError("a recorded call needs a recording_notice that says so")
        return self

    @property
    def has_script(self) -> bool:
        """Whether there is anything to say: without a greeting or a question a call is silence."""
        return _speakable(self.greeting) or any(_speakable(question.ask) for question in self.questions)

    def placeholders(self) -> set[str]:
        """The names of all columns that the agent's texts need, as people see them."""
        return {name for text in self._texts() for name in _names(text)}

    def _texts(self) -> Iterator[Text]:
        yield from (self.greeting, self.goodbye)
        yield self.voicemail_message or ""
        yield self.recording_notice if self.recording else ""
        for question in self.questions:
            yield from (question.question_text(), question.again_text(), question.confirm_yes, question.confirm_no)


def render(agent: Agent, row: Mapping[str, str]) -> Script:
    """What `agent` says to the person of `row` (column name → value).

    Each placeholder is replaced once, by name; what a value holds is never read as a placeholder or as markup. Raises
    KeyError with the column's name if the row has no such column; intake makes sure beforehand that it has.
    """
    values = {visible(name): value for name, value in row.items()}

    def line(text: Text) -> Line:
        spoken = _fill(text, values)
        return Line(spoken, clip_key(agent.voice, spoken))

    notice = (agent.recording_notice,) if agent.recording else ()
    opening = tuple(line(text) for text in (*notice, agent.greeting) if text.strip())
    asks = tuple(
        Ask(
            question.name,
            line(question.question_text()),
            line(question.again_text()),
            line(question.confirm_yes),
            line(question.confirm_no),
            question.yes,
            question.no,
            question.required,
        )
        for question in agent.questions
    )
    message = None if agent.voicemail_message is None else line(agent.voicemail_message)
    return Script(opening, asks, line(agent.goodbye), agent.voicemail, message, agent.detect_machine)


def clip_key(voice: str, text: str) -> str:
    """The key of the sound of `text` in `voice`: 64 hex digits."""
    return hashlib.sha256(f"{voice}\n{text}".encode()).hexdigest()


def _fill(text: Text, values: Mapping[str, str]) -> str:
    filled = _PLACEHOLDER.sub(lambda found: _clean(values[_name(found)], LONGEST_VALUE), text)
    return _clean(filled, LONGEST_LINE)


def _names(text: Text) -> Iterable[str]:
    return (_name(found) for found in _PLACEHOLDER.finditer(text))


def _name(found: re.Match[str]) -> str:
    return visible(found[1] or found[2])


def _clean(text: str, longest: int) -> str:
    """`text` as it can be spoken and written down: control characters and markup become blanks, invisible ones go,
    blanks are joined, and what is too long is cut at a word."""
    short = text[: 4 * longest]
    visible = "".join(_UNSPOKEN.get(unicodedata.category(sign), sign) for sign in short)
    joined = " ".join(visible.translate(_MARKUP).split())
    if len(joined) <= longest:
        return joined
    return joined[: longest + 1].rsplit(" ", 1)[0][:longest]


def _speakable(text: str) -> bool:
    return any(sign.isalnum() for sign in text)


def _spoken(digit: str) -> str:
    return {"*": "star", "#": "hash"}.get(digit, digit)
