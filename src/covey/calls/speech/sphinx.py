"""The child process that understands short answers: pocketsphinx with a grammar of the expected phrases.

Asked {"expected": [phrases]} with PCM of 8 kHz as the body, it answers {"text", "confidence"}. Two decoders listen:

    sceptical   expected phrases and decoys ("hello", "who is this"), so that other speech is not pressed into a yes
    credulous   expected phrases only, on the sound as it came

What the sceptical one hears is the answer; it counts as sure if the credulous one hears the same. The model was made
for 16 kHz: what the telephone cut off above 4 kHz is filled with a mirror of what is below, without which a bare "yes"
loses its s and its meaning.
"""

import re
from functools import lru_cache
from typing import Any

import numpy as np
import pocketsphinx

from covey.calls.call import SAMPLE_RATE, Recognition
from covey.calls.phrases import DECOYS, find, meaning
from covey.calls.speech.sound import Samples, resample
from covey.processes.child import ChildRefused, serve

SURE = 0.9
DOUBTFUL = 0.4

LONGEST_ANSWER = 3.2
"""Seconds (0.9 of them silence) beyond which an utterance is no short answer: a grammar presses any speech into one."""

_MODEL_RATE = 2 * SAMPLE_RATE
_MIRROR = 0.6
_SILENCE = np.zeros(int(0.3 * SAMPLE_RATE))
_PHRASE = re.compile(r"[a-z']+(?: [a-z']+)*")


class Sphinx:
    """Keeps a pair of decoders for each of the last few sets of expected phrases."""

    def __init__(self) -> None:
        pocketsphinx.set_loglevel("FATAL")
        self._pair = lru_cache(maxsize=4)(_pair)

    def answer(self, header: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        """Answers one frame."""
        heard = self.recognize(body, tuple(map(str, header["expected"])))
        return {"text": heard.text, "confidence": heard.confidence}, b""

    def recognize(self, pcm: bytes, expected: tuple[str, ...]) -> Recognition:
        """Which expected phrase was said. Raises `ChildRefused` if the model knows the words of none."""
        sceptical, credulous = self._pair(expected)
        if len(pcm) > LONGEST_ANSWER * SAMPLE_RATE * 2:
            return Recognition("", 0.0)
        sound = np.concatenate((_SILENCE, np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32768, _SILENCE))
        plain = resample(sound, SAMPLE_RATE, _MODEL_RATE)
        text = find(_decode(sceptical, plain + _mirrored(sound, plain)), expected)
        if not text:
            return Recognition("", 0.0)
        again = find(_decode(credulous, plain), expected)
        return Recognition(text, SURE if _agree(text, again) else DOUBTFUL)


def _pair(expected: tuple[str, ...]) -> tuple[Any, Any]:
    return _decoder((*expected, *DECOYS)), _decoder(expected)


def _decoder(phrases: tuple[str, ...]) -> Any:
    decoder = pocketsphinx.Decoder(lm=None, samprate=_MODEL_RATE, loglevel="FATAL")
    known = [
        phrase for phrase in phrases if _PHRASE.fullmatch(phrase) and all(map(decoder.lookup_word, phrase.split()))
    ]
    if not known:
        raise ChildRefused("none of the expected phrases is in the recognizer's dictionary")
    decoder.add_jsgf_string("answers", f"#JSGF V1.0; grammar answers; public <answer> = {' | '.join(known)};")
    decoder.activate_search("answers")
    return decoder


def _decode(decoder: Any, sound: Samples) -> str:
    decoder.start_utt()
    decoder.process_raw((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return hypothesis.hypstr if hypothesis else ""


def _mirrored(sound: Samples, plain: Samples) -> Samples:
    """The band above 4 kHz as the mirror of the one below, with a trace of noise where there was digital silence."""
    images = np.zeros(2 * len(sound))
    images[::2] = sound * 2
    noise = np.random.default_rng(1).normal(0, 0.0005, len(plain))
    return _MIRROR * (images[: len(plain)] - plain) + noise


def _agree(one: str, other: str) -> bool:
    return one == other or (meaning(one) is not None and meaning(one) == meaning(other))


if __name__ == "__main__":
    serve(Sphinx().answer)
