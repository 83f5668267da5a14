"""Voice, silence, beeps and machines, told from real and synthesized sound."""

import numpy as np
import pytest

from covey.calls.call import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE
from covey.calls.hearing import LONGEST_UTTERANCE, Answerer, MachineDetector, Utterance, UtteranceDetector

from .conftest import Voice, through_mu_law, tone


def listen(sound: bytes, ear: UtteranceDetector | None = None) -> UtteranceDetector:
    """An ear that heard `sound` in frames of 20 ms and then a second of silence, through G.711."""
    ear = ear or UtteranceDetector()
    heard = through_mu_law(sound + bytes(SAMPLE_RATE * 2))
    for number in range(len(heard) // FRAME_BYTES):
        ear.hear(heard[number * FRAME_BYTES : (number + 1) * FRAME_BYTES], (number + 1) * FRAME_SECONDS)
    return ear


def digit(low: float, high: float, seconds: float) -> bytes:
    """The sound of a key: two tones."""
    both = np.frombuffer(tone(low, seconds), dtype="<i2") // 2 + np.frombuffer(tone(high, seconds), dtype="<i2") // 2
    return bytes(both.astype("<i2").tobytes())


@pytest.mark.parametrize("hertz", [400, 440, 700, 1000, 1400, 2000])
@pytest.mark.parametrize("level", [0.05, 0.6])
def test_a_pure_tone_is_a_beep(hertz: float, level: float) -> None:
    assert listen(bytes(1600) + tone(hertz, 0.25, level)).beeps == 1


def test_a_beep_is_on_while_it_sounds() -> None:
    ear = UtteranceDetector()
    for number, start in enumerate(range(0, SAMPLE_RATE, FRAME_BYTES)):
        ear.hear(tone(1000, 1.0)[start : start + FRAME_BYTES], number * FRAME_SECONDS)
    assert ear.beeping
    assert not listen(tone(1000, 0.5)).beeping


@pytest.mark.parametrize(
    "sound",
    [
        tone(1000, 0.12),
        tone(200, 0.5),
        tone(3000, 0.5),
        digit(697, 1209, 0.5),
        digit(941, 1477, 0.5),
        digit(350, 440, 1),
    ],
    ids=["too short", "too low", "too high", "digit 1", "digit #", "dial tone"],
)
def test_other_tones_are_none(sound: bytes) -> None:
    assert listen(sound).beeps == 0


@pytest.mark.parametrize(
    "text", ["Hello, who is this?", "Ooooh noooo, moooon.", "Hmmmmm. Mmmmh.", "Please leave a message."]
)
def test_speech_is_no_beep(speak: Voice, text: str) -> None:
    assert listen(speak(text)).beeps == 0


def test_noise_is_no_beep() -> None:
    noise = np.random.default_rng(3).normal(0, 2000, 5 * SAMPLE_RATE).astype("<i2").tobytes()
    assert listen(noise).beeps == 0


@pytest.mark.parametrize(
    ("text", "answerer"),
    [
        ("Hello?", Answerer.human),
        ("Hello, Ada speaking.", Answerer.human),
        ("Hello, this is Ada Lovelace speaking.", Answerer.human),
        ("You have reached the mailbox of Ada. Please leave a message after the tone.", Answerer.machine),
        (" ", Answerer.unknown),
    ],
)
def test_the_first_thing_said_tells_who_answered(speak: Voice, text: str, answerer: Answerer) -> None:
    assert listen(bytes(8000) + speak(text) + bytes(4 * SAMPLE_RATE)).machine.verdict is answerer


def test_a_verdict_stays() -> None:
    detector = MachineDetector()
    for number in range(150):
        detector.hear(True, number * FRAME_SECONDS)
    assert detector.verdict is Answerer.machine
    assert detector.hear(False, 9.0) is Answerer.machine


def test_an_utterance_ends_after_600_ms_of_silence(speak: Voice) -> None:
    sound = bytes(8000) + speak("yes please")
    ear = listen(sound)
    said = ear.utterance
    assert said is not None
    assert said.started_at == pytest.approx(0.5, abs=0.1)
    assert said.last_voice_at == pytest.approx(len(sound) / 16000, abs=0.25)
    assert ear.take_utterance(said.last_voice_at + 0.59) is None
    assert ear.take_utterance(said.last_voice_at + 0.61) is said
    assert ear.take_utterance(9.0) is None


def test_constant_noise_does_not_hold_an_utterance_open() -> None:
    ear = UtteranceDetector()
    ear.utterance = Utterance(1.0, 1.0 + LONGEST_UTTERANCE, 5.0, bytearray())
    assert ear.take_utterance(1.0 + LONGEST_UTTERANCE) is not None


def test_frames_may_come_in_any_length(speak: Voice) -> None:
    heard = through_mu_law(speak("yes please") + bytes(SAMPLE_RATE))
    ear, now, start = UtteranceDetector(), 0.0, 0
    for size in np.random.default_rng(1).integers(0, 400, 400):
        part = heard[start : start + int(size) * 2]
        start += len(part)
        now += len(part) / 16000
        ear.hear(part, now)
    whole = listen(speak("yes please"))
    assert ear.utterance is not None
    assert whole.utterance is not None
    assert ear.utterance.voiced == pytest.approx(whole.utterance.voiced)
