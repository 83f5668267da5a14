"""One call's conversation: greet, ask, listen, confirm, say goodbye; or deal with a mailbox. No I/O, no waiting.

    opening → asking → listening → understanding → confirming → asking … → goodbye → over
         ↘ a machine answered: mailbox (waits for the beep) → message → over, or over at once

The media loop of the dialler drives it: every 20 ms it gives what was heard (`hear`, with b"" when nothing came, for
that is what moves the clock), fetches what is to be sent (`next_audio`) and does what it says (`take_events`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from covey.calls import phrases
from covey.calls.call import Ask, CallEnd, Line, Recognition, Script, Speaker, Turn, VoicemailPolicy
from covey.calls.hearing import Answerer, Utterance, UtteranceDetector
from covey.calls.playout import Playout

ANSWER_SECONDS = 5.0
"""How long an answer may take to begin before the question is repeated."""

SURE = 0.6
"""The confidence from which one hearing is enough; below it two that agree are needed."""

_MAX_SILENCES = 2
_MAX_MISHEARD = 3
_BARGE_IN_VOICED = 0.2
_SHORTEST_ANSWER = 0.1
_UNDERSTANDING_SECONDS = 6.0
_POLITE_SECONDS = 3.0
_LINE_GAP = 0.2
_TAIL = 0.3
_MAILBOX_SILENCE = 2.5
_MAILBOX_SECONDS = 60.0
_UNCLEAR = "(unclear)"


class Phase(StrEnum):
    """Where the conversation is."""

    opening = "opening"
    asking = "asking"
    listening = "listening"
    understanding = "understanding"
    confirming = "confirming"
    goodbye = "goodbye"
    mailbox = "mailbox"
    message = "message"
    over = "over"


@dataclass(frozen=True, slots=True)
class Said:
    """A turn that is complete, the agent's or the callee's."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class FlushAudio:
    """Drop what was handed out by `next_audio` and has not been sent yet."""


@dataclass(frozen=True, slots=True)
class Recognize:
    """Have this utterance (PCM) recognized; the answer goes to `recognized` with the same `request`."""

    request: int
    pcm: bytes
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HangUp:
    """The conversation is over: send the BYE."""

    end: CallEnd


Event = Said | FlushAudio | Recognize | HangUp

_WITH_CALLEE = (Phase.opening, Phase.asking, Phase.listening, Phase.understanding)


class Conversation:
    """One conversation. All times are seconds since the answer."""

    def __init__(self, script: Script, clips: Mapping[str, bytes], detect_machine: bool = True) -> None:
        """`clips` maps the keys of the script's lines to PCM; KeyError later if one is missing. `detect_machine` False
        switches the detector off whatever the script says."""
        self._script = script
        self._detect_machine = detect_machine and script.detect_machine
        self._playout = Playout(clips)
        self._ear = UtteranceDetector()
        self._phase = Phase.opening
        self._since = 0.0
        self._now = 0.0
        self._next_line_at = 0.0
        self._queued: tuple[Line, ...] = ()
        self._events: list[Event] = []
        self._turns: list[Turn] = []
        self._questions_asked = 0
        self._silences = 0
        self._misheard = 0
        self._doubtful: bool | None = None
        self._requests = 0
        self._utterance: Utterance | None = None
        self._person = False
        self._machine = False
        self._end: CallEnd | None = None
        self.answers: dict[str, bool] = {}
        self.message_left = False

    @property
    def turns(self) -> list[Turn]:
        """What was said so far, a line that is being said included as far as it was heard."""
        return [*self._turns, *self._playout.heard_so_far(self._now)]

    @property
    def phase(self) -> Phase:
        """Where the conversation is."""
        return self._phase

    @property
    def answerer(self) -> Answerer:
        """Who answered, as far as it is known; `unknown` is an honest answer."""
        if self._machine:
            return Answerer.machine
        return Answerer.human if self._person else self._ear.machine.verdict

    # ------------------------------------------------------------------ what the dialler calls

    def answered(self) -> None:
        """The 200 OK came: time starts at 0 and the opening can be fetched at once."""
        self._say(Phase.opening, self._script.opening)

    def next_audio(self, max_bytes: int) -> bytes:
        """PCM to send now, at most `max_bytes`; b"" when nothing is to be said."""
        return self._playout.next(max_bytes, self._now)

    def hear(self, pcm: bytes, now: float) -> None:
        """Takes what was received by `now`, of any length; to be called on every tick, with b"" if nothing came."""
        self._now = now
        if self._phase is Phase.over:
            return
        self._ear.hear(pcm, now)
        self._report(self._playout.finished(now))
        self._look_for_machine()
        self._start_queued_lines()
        self._step()

    def digit(self, digit: str, now: float) -> None:
        """The callee pressed a key (`0` … `9`, `*`, `#`)."""
        self._now = now
        if self._phase not in _WITH_CALLEE and self._phase is not Phase.confirming:
            return
        self._person, self._machine = True, False
        if self._phase in (Phase.opening, Phase.confirming):
            self._report([_pressed(digit, now)])
            return
        self._interrupt()
        self._report([_pressed(digit, now)])
        ask = self._ask
        if digit in (ask.yes, ask.no):
            self._take_answer(digit == ask.yes)
        else:
            self._not_understood()

    def recognized(self, request: int, heard: Recognition, now: float) -> None:
        """What the recognizer made of the utterance of `request`; an answer that came too late changes nothing."""
        self._now = now
        said = self._utterance
        if self._phase is not Phase.understanding or request != self._requests or said is None:
            return
        self._report(
            [Turn(Speaker.callee, heard.text or _UNCLEAR, round(said.started_at, 3), round(heard.confidence, 3))]
        )
        answer = phrases.meaning(heard.text)
        if answer is not None and (heard.confidence >= SURE or answer == self._doubtful):
            self._take_answer(answer)
            return
        if answer is not None:
            self._doubtful = answer
        self._not_understood()

    def take_events(self) -> list[Event]:
        """What happened since the last time, in order."""
        events, self._events = self._events, []
        return events

    def ended_by_callee(self) -> CallEnd:
        """What the call has come to if the far end hangs up now."""
        return self._end or self._outcome() or CallEnd.hung_up

    # ------------------------------------------------------------------ the machine

    def _step(self) -> None:
        match self._phase:
            case Phase.opening | Phase.confirming:
                if self._said_all():
                    self._go_on()
            case Phase.asking:
                self._while_asking()
            case Phase.listening:
                self._while_listening()
            case Phase.understanding:
                if self._waited(_UNDERSTANDING_SECONDS):
                    self.recognized(self._requests, Recognition("", 0.0), self._now)
            case Phase.goodbye:
                if self._said_all() and self._waited_since_sound(_TAIL):
                    self._hang_up(self._end or CallEnd.hung_up)
            case Phase.mailbox:
                self._while_mailbox_greets()
            case Phase.message:
                if self._said_all() and self._waited_since_sound(_TAIL):
                    self.message_left = True
                    self._hang_up(CallEnd.voicemail)
            case Phase.over:
                pass
            case _:
                assert_never(self._phase)

    def _while_asking(self) -> None:
        said = self._ear.utterance
        if said is not None and said.voiced >= _BARGE_IN_VOICED and not self._queued:
            self._interrupt()
            self._enter(Phase.listening)
        elif self._said_all():
            self._enter(Phase.listening)

    def _while_listening(self) -> None:
        said = self._ear.take_utterance(self._now)
        if said is not None and said.voiced >= _SHORTEST_ANSWER:
            self._utterance = said
            self._requests += 1
            self._enter(Phase.understanding)
            self._events.append(Recognize(self._requests, bytes(said.sound), phrases.EXPECTED))
        elif self._ear.utterance is None and self._waited(ANSWER_SECONDS):
            self._silences += 1
            self._ask_again(self._silences >= _MAX_SILENCES)

    def _while_mailbox_greets(self) -> None:
        last_voice = self._ear.last_voice_at
        quiet = self._now - max(self._since, last_voice if last_voice is not None else 0.0)
        after_beep = self._ear.beeps > 0 and not self._ear.beeping
        if after_beep or (not self._ear.beeping and quiet >= _MAILBOX_SILENCE):
            message = self._script.voicemail_message
            self._say(Phase.message, (message,) if message else ())
        elif self._waited(_MAILBOX_SECONDS):
            self._hang_up(CallEnd.voicemail)

    # ------------------------------------------------------------------ asking and answers

    @property
    def _ask(self) -> Ask:
        return self._script.asks[self._questions_asked]

    def _go_on(self) -> None:
        """After the opening and after every answer: the next question, or the end."""
        end = self._outcome()
        if end is None:
            self._say(Phase.asking, (self._ask.question,))
        else:
            self._say_goodbye(end)

    def _take_answer(self, answer: bool) -> None:
        ask = self._ask
        self.answers[ask.name] = answer
        self._person = not self._machine
        self._next_question()
        self._say(Phase.confirming, (ask.confirm_yes if answer else ask.confirm_no,))

    def _next_question(self) -> None:
        self._questions_asked += 1
        self._silences = self._misheard = 0
        self._doubtful = None

    def _not_understood(self) -> None:
        self._misheard += 1
        self._ask_again(self._misheard >= _MAX_MISHEARD)

    def _ask_again(self, give_up: bool) -> None:
        ask = self._ask
        if not give_up:
            self._say(Phase.asking, (ask.again,))
        elif ask.required:
            self._say_goodbye(CallEnd.voicemail if self._machine else CallEnd.no_response)
        else:
            self._next_question()
            self._go_on()

    def _outcome(self) -> CallEnd | None:
        """What the call has come to by the answers so far; None while something is still open."""
        asks = self._script.asks
        if self._machine:
            talked = self._script.voicemail is not VoicemailPolicy.talk_anyway or self._questions_asked >= len(asks)
            return CallEnd.voicemail if talked else None
        if any(ask.required and self.answers.get(ask.name) is False for ask in asks):
            return CallEnd.declined
        if self._questions_asked < len(asks) or (self._phase is Phase.opening and not self._said_all()):
            return None
        return CallEnd.successful if self.answers or not asks else CallEnd.no_response

    # ------------------------------------------------------------------ machines

    def _look_for_machine(self) -> None:
        if not self._detect_machine or self._machine or self._person or self._phase not in _WITH_CALLEE:
            return
        if self._ear.machine.verdict is not Answerer.machine and not self._ear.beeps:
            return
        self._machine = True
        match self._script.voicemail:
            case VoicemailPolicy.hang_up:
                self._leave(CallEnd.voicemail)
            case VoicemailPolicy.leave_message if self._script.voicemail_message is None:
                self._leave(CallEnd.voicemail)
            case VoicemailPolicy.leave_message:
                self._interrupt()
                self._enter(Phase.mailbox)
            case VoicemailPolicy.talk_anyway:
                pass
            case _:
                assert_never(self._script.voicemail)

    # ------------------------------------------------------------------ speaking

    def _say(self, phase: Phase, lines: Sequence[Line]) -> None:
        """Enters `phase` and says `lines` as soon as it is polite: at once in the opening and to a machine."""
        self._enter(phase)
        self._queued = tuple(lines)
        at_once = phase in (Phase.opening, Phase.message)
        self._next_line_at = self._now if at_once else self._now + _LINE_GAP
        if at_once:
            self._play_queued()

    def _start_queued_lines(self) -> None:
        if not self._queued or self._now < self._next_line_at:
            return
        if self._ear.speaking(self._now) and not self._waited(_POLITE_SECONDS):
            return
        self._play_queued()

    def _play_queued(self) -> None:
        self._ear.forget()
        self._playout.say(self._queued)
        self._queued = ()

    def _said_all(self) -> bool:
        return not self._queued and self._playout.silent

    def _say_goodbye(self, end: CallEnd) -> None:
        self._end = end
        self._say(Phase.goodbye, (self._script.goodbye,))

    def _interrupt(self) -> None:
        """Stops speaking at once."""
        if not self._playout.silent:
            self._report(self._playout.cut(self._now))
            self._events.append(FlushAudio())
        self._queued = ()

    def _leave(self, end: CallEnd) -> None:
        self._interrupt()
        self._hang_up(end)

    def _hang_up(self, end: CallEnd) -> None:
        self._end = end
        self._enter(Phase.over)
        self._events.append(HangUp(end))

    def _report(self, turns: Sequence[Turn]) -> None:
        self._turns += turns
        self._events += [Said(turn) for turn in turns]

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._since = self._now

    def _waited(self, seconds: float) -> bool:
        return self._now - self._since >= seconds

    def _waited_since_sound(self, seconds: float) -> bool:
        return self._now - self._playout.sounded_until >= seconds


def _pressed(digit: str, now: float) -> Turn:
    return Turn(Speaker.callee, f"pressed {digit}", round(now, 3), digit=digit)
