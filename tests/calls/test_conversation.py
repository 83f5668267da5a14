"""Conversations with synthesized callees, frame by frame, over the real recognizer; time is only counted."""

from typing import Any

import numpy as np
import pytest

from covey.calls.agents import Agent, Question, render
from covey.calls.call import FRAME_BYTES, SAMPLE_RATE, CallEnd, Recognition, Script, Speaker
from covey.calls.conversation import Conversation, FlushAudio, HangUp, Phase, Recognize, Said
from covey.calls.hearing import Answerer

from .conftest import Callee, Dial, Voice, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")

GREETING = "Hello Ada, this is the dental practice."
ASK = "Can you come on Tuesday at ten? Press 1 for yes, 2 for no."
AGAIN = "Sorry, I did not get that. " + ASK
MAILBOX = "Hi, you have reached Ada. I can't come to the phone right now. Please leave a message after the tone."


def script(**changes: Any) -> Script:
    agent = {
        "greeting": "Hello {name}, this is the dental practice.",
        "questions": [{"name": "tuesday", "ask": ASK}],
        "goodbye": "Goodbye.",
        **changes,
    }
    return render(Agent.model_validate(agent), {"name": "Ada"})


def heard_by_callee(outcome: Any, sound: bytes) -> float:
    """The best normalised correlation of `sound` with what sounded at the callee's ear."""
    ear = np.frombuffer(outcome.heard, dtype="<i2").astype(float)
    clip = np.frombuffer(sound, dtype="<i2").astype(float)
    length = len(ear) + len(clip)
    product = np.fft.irfft(np.fft.rfft(ear, length) * np.conj(np.fft.rfft(clip, length)), length)
    at = int(product.argmax())
    return float(product[at] / (np.linalg.norm(clip) * np.linalg.norm(ear[at : at + len(clip)])))


@pytest.mark.parametrize(
    ("reply", "end"),
    [("yes please", CallEnd.successful), ("no thank you", CallEnd.declined), ("yes", CallEnd.successful)],
)
async def test_a_spoken_answer_ends_the_call_as_it_says(dial: Dial, speak: Voice, reply: str, end: CallEnd) -> None:
    outcome = await dial(script(), Callee(says=[(0.3, speak("Hello?"))], replies={ASK: speak(reply)}))
    assert outcome.end is end
    assert outcome.conversation.answers == {"tuesday": end is CallEnd.successful}
    assert outcome.conversation.answerer is Answerer.human
    said = [turn for turn in outcome.conversation.turns if turn.speaker is Speaker.callee]
    assert said[0].text == reply or reply == "yes"
    assert said[0].confidence < 1


@pytest.mark.parametrize(("digit", "end"), [("1", CallEnd.successful), ("2", CallEnd.declined)])
async def test_a_digit_is_an_answer(dial: Dial, digit: str, end: CallEnd) -> None:
    outcome = await dial(script(), Callee(replies={ASK: digit}))
    assert outcome.end is end
    pressed = next(turn for turn in outcome.conversation.turns if turn.digit)
    assert (pressed.digit, pressed.confidence) == (digit, 1.0)


async def test_everything_said_is_heard_exactly_and_in_order(dial: Dial, speak: Voice) -> None:
    outcome = await dial(script(recording=True), Callee(replies={ASK: "1"}))
    lines = ["This call is recorded.", GREETING, ASK, "Thank you.", "Goodbye."]
    assert [turn.text for turn in outcome.events if turn.speaker is Speaker.agent] == lines
    assert min(heard_by_callee(outcome, speak(line)) for line in lines) > 0.999
    assert outcome.line("This call is recorded.").at == 0
    assert [turn.at for turn in outcome.conversation.turns] == sorted(turn.at for turn in outcome.conversation.turns)
    assert outcome.conversation.turns == outcome.events


@pytest.mark.parametrize("sends_rtp", [True, False])
async def test_silence_is_asked_once_more_and_then_left(dial: Dial, sends_rtp: bool) -> None:
    outcome = await dial(script(), Callee(sends_rtp=sends_rtp))
    texts = [turn.text for turn in outcome.conversation.turns]
    assert outcome.end is CallEnd.no_response
    assert texts == [GREETING, ASK, AGAIN, "Goodbye."]


async def test_speaking_over_a_question_stops_it(dial: Dial, speak: Voice) -> None:
    begins = len(speak(GREETING)) / (2 * SAMPLE_RATE) + 1.2
    outcome = await dial(script(), Callee(says=[(begins, speak("yes please"))]))
    cut = outcome.line(ASK)
    assert outcome.flushes == 1
    assert outcome.end is CallEnd.successful
    assert cut.said_for is not None
    assert cut.said_for < 1.6 < len(speak(ASK)) / (2 * SAMPLE_RATE)
    assert heard_by_callee(outcome, speak(ASK)) < 0.9


async def test_the_callees_hello_does_not_stop_the_greeting(dial: Dial, speak: Voice) -> None:
    outcome = await dial(script(), Callee(says=[(0.5, speak("Hello, who is this?"))], replies={ASK: "1"}))
    assert outcome.flushes == 0
    assert outcome.line(GREETING).said_for == pytest.approx(len(speak(GREETING)) / 16000, abs=0.02)


async def test_what_is_not_understood_is_asked_again(dial: Dial, speak: Voice) -> None:
    callee = Callee(replies={ASK: speak("Who is calling?"), AGAIN: speak("yes please")})
    outcome = await dial(script(), callee)
    assert outcome.end is CallEnd.successful
    assert next(turn.text for turn in outcome.events if turn.speaker is Speaker.callee) == "(unclear)"


async def test_a_required_no_ends_the_call_and_an_optional_one_does_not(dial: Dial) -> None:
    first, second = "First? Press 1 or 2.", "Second? Press 1 or 2."
    questions = [{"name": "first", "ask": first, "required": False}, {"name": "second", "ask": second}]
    outcome = await dial(script(questions=questions), Callee(replies={first: "2", second: "1"}))
    assert outcome.conversation.answers == {"first": False, "second": True}
    assert outcome.end is CallEnd.successful


async def test_without_questions_a_greeting_heard_to_the_end_is_a_success(dial: Dial) -> None:
    assert (await dial(script(questions=[]), Callee())).end is CallEnd.successful
    assert (await dial(script(questions=[]), Callee(hangs_up_at=1.0))).end is CallEnd.hung_up


async def test_a_callee_who_hangs_up_early_has_hung_up(dial: Dial) -> None:
    outcome = await dial(script(), Callee(hangs_up_at=1.5))
    assert outcome.end is CallEnd.hung_up
    assert outcome.conversation.turns[0].said_for == pytest.approx(1.5, abs=0.1)


async def test_a_callee_who_hangs_up_after_the_answer_has_answered(dial: Dial, speak: Voice) -> None:
    late = (len(speak(GREETING)) + len(speak(ASK))) / (2 * SAMPLE_RATE) + 1.0
    outcome = await dial(script(), Callee(replies={ASK: "1"}, hangs_up_at=late))
    assert outcome.conversation.phase is not Phase.over
    assert outcome.end is CallEnd.successful


def mailbox(speak: Voice) -> Callee:
    greeting = speak(MAILBOX)
    return Callee(says=[(0.4, greeting), (0.4 + len(greeting) / 16000 + 0.5, tone(1000, 0.5))])


async def test_a_mailbox_is_hung_up_on(dial: Dial, speak: Voice) -> None:
    outcome = await dial(script(), mailbox(speak))
    assert outcome.end is CallEnd.voicemail
    assert outcome.conversation.answerer is Answerer.machine
    assert outcome.ended_at < 4.5
    assert not outcome.conversation.message_left


async def test_a_message_is_left_after_the_beep(dial: Dial, speak: Voice) -> None:
    message = "Please call the dental practice."
    outcome = await dial(script(voicemail="leave_message", voicemail_message=message), mailbox(speak))
    beep_ends = 0.4 + len(speak(MAILBOX)) / 16000 + 1.0
    assert outcome.end is CallEnd.voicemail
    assert outcome.conversation.message_left
    assert outcome.line(message).at == pytest.approx(beep_ends, abs=0.15)
    assert heard_by_callee(outcome, speak(message)) > 0.999


async def test_a_message_is_left_after_a_long_silence_without_a_beep(dial: Dial, speak: Voice) -> None:
    callee = Callee(says=[(0.4, speak(MAILBOX))])
    outcome = await dial(script(voicemail="leave_message", voicemail_message="Call us."), callee)
    assert outcome.conversation.message_left
    assert outcome.line("Call us.").at == pytest.approx(0.4 + len(speak(MAILBOX)) / 16000 + 2.5, abs=0.4)


async def test_a_mailbox_that_hangs_up_has_no_message(dial: Dial, speak: Voice) -> None:
    callee = mailbox(speak)
    callee.hangs_up_at = 6.0
    outcome = await dial(script(voicemail="leave_message", voicemail_message="Call us."), callee)
    assert (outcome.end, outcome.conversation.message_left) == (CallEnd.voicemail, False)


async def test_a_beep_after_a_short_greeting_is_a_machine_too(dial: Dial, speak: Voice) -> None:
    outcome = await dial(script(), Callee(says=[(0.3, speak("Ada here.")), (2.4, tone(1000, 0.4))]))
    assert outcome.end is CallEnd.voicemail


async def test_talking_anyway_says_everything_and_is_voicemail(dial: Dial, speak: Voice) -> None:
    outcome = await dial(script(voicemail="talk_anyway"), mailbox(speak))
    assert outcome.end is CallEnd.voicemail
    assert ASK in [turn.text for turn in outcome.conversation.turns]


async def test_a_digit_proves_a_person_whatever_the_detector_thought(dial: Dial, speak: Voice) -> None:
    callee = mailbox(speak)
    callee.replies = {ASK: "1"}
    outcome = await dial(script(voicemail="talk_anyway"), callee)
    assert (outcome.end, outcome.conversation.answerer) == (CallEnd.successful, Answerer.human)


async def test_without_the_detector_a_mailbox_is_talked_to_like_a_person(dial: Dial, speak: Voice) -> None:
    outcome = await dial(script(detect_machine=False), mailbox(speak))
    assert outcome.end is CallEnd.no_response


def asked(speak: Voice) -> tuple[Conversation, float]:
    """A conversation that listens to the answer of its question."""
    made = script()
    conversation = Conversation(made, {line.clip: speak(line.text) for line in made.lines()})
    conversation.answered()
    now = 0.0
    while conversation.phase is not Phase.listening:
        conversation.next_audio(4 * FRAME_BYTES)
        now += 0.02
        conversation.hear(bytes(FRAME_BYTES), now)
    conversation.take_events()
    return conversation, now


def say(conversation: Conversation, sound: bytes, now: float) -> tuple[Recognize, float]:
    """Says `sound` to the conversation until it wants it understood."""
    sound += bytes(SAMPLE_RATE * 2)
    while True:
        frame, sound = sound[:FRAME_BYTES], sound[FRAME_BYTES:]
        conversation.next_audio(4 * FRAME_BYTES)
        now += 0.02
        conversation.hear(frame, now)
        for event in conversation.take_events():
            if isinstance(event, Recognize):
                return event, now


async def test_one_doubtful_hearing_decides_nothing_and_two_that_agree_do(speak: Voice) -> None:
    conversation, now = asked(speak)
    request, now = say(conversation, speak("no"), now)
    conversation.recognized(request.request, Recognition("no", 0.4), now)
    assert conversation.answers == {}
    request, now = say(conversation, bytes(3 * SAMPLE_RATE) + speak("no"), now)
    conversation.recognized(request.request, Recognition("nope", 0.4), now)
    assert conversation.answers == {"tuesday": False}


async def test_two_doubtful_hearings_that_differ_decide_nothing(speak: Voice) -> None:
    conversation, now = asked(speak)
    for text in ("no", "yes"):
        request, now = say(conversation, bytes(3 * SAMPLE_RATE) + speak("no"), now)
        conversation.recognized(request.request, Recognition(text, 0.4), now)
    assert conversation.answers == {}


async def test_a_digit_overtakes_the_recognizer(speak: Voice) -> None:
    conversation, now = asked(speak)
    request, now = say(conversation, speak("no"), now)
    conversation.digit("1", now)
    conversation.recognized(request.request, Recognition("no", 0.9), now)
    assert conversation.answers == {"tuesday": True}


async def test_a_recognizer_that_never_answers_is_not_waited_for(speak: Voice) -> None:
    conversation, now = asked(speak)
    request, now = say(conversation, speak("no"), now)
    conversation.hear(b"", now + 6.1)
    assert conversation.phase is Phase.asking
    conversation.recognized(request.request, Recognition("no", 0.9), now + 6.2)
    assert conversation.answers == {}


async def test_an_answer_to_an_earlier_utterance_is_not_one_to_this(speak: Voice) -> None:
    conversation, now = asked(speak)
    first, now = say(conversation, speak("no"), now)
    conversation.recognized(first.request, Recognition("", 0.0), now)
    second, now = say(conversation, bytes(3 * SAMPLE_RATE) + speak("yes"), now)
    conversation.recognized(first.request, Recognition("no", 0.9), now)
    assert conversation.answers == {}
    conversation.recognized(second.request, Recognition("yes", 0.9), now)
    assert conversation.answers == {"tuesday": True}


async def test_another_digit_is_not_an_answer(speak: Voice) -> None:
    conversation, now = asked(speak)
    conversation.digit("7", now)
    assert conversation.phase is Phase.asking
    assert [event for event in conversation.take_events() if isinstance(event, Said | FlushAudio | HangUp)] != []
    assert conversation.answers == {}


async def test_an_optional_question_without_an_answer_leaves_nothing_decided(dial: Dial) -> None:
    questions = [Question(name="extra", ask=ASK, required=False).model_dump()]
    outcome = await dial(script(questions=questions), Callee())
    assert outcome.end is CallEnd.no_response
