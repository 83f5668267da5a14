"""Understanding: which of the short answers the offline recognizer gets right through G.711, in several voices.

    python -m benchmarks understanding

Synthetic voices on a clean line: the figures compare versions of the recognizer, they promise nothing about people.
"""

import asyncio
import time
from collections import Counter

import numpy as np

from covey.calls import phrases
from covey.calls.call import Recognition
from covey.calls.conversation import SURE
from covey.calls.speech.recognition import PocketsphinxRecognizer
from covey.calls.speech.synthesis import EspeakSynthesizer

VOICES = ("en-us", "en-us+f3", "en-us+m3", "en-gb-scotland", "en-gb")
OTHER = (
    "hello who is this",
    "can you repeat that",
    "hold on a second",
    "john speaking",
    "sorry what",
    "i am driving right now",
    "one moment please",
    "who is calling please",
    "i know him",
    "nobody is here",
)
"""Speech that is no answer; most of it is not among the recognizer's decoys."""


def through_mu_law(pcm: bytes) -> bytes:
    """PCM as G.711 leaves it."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32768
    small = np.round(np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256) * 127) / 127
    restored = np.sign(small) * (np.power(256.0, np.abs(small)) - 1) / 255
    return bytes((restored * 32767).astype("<i2").tobytes())


def judge(said: str, heard: Recognition) -> str:
    """One word for how good a hearing is."""
    meant, understood = phrases.meaning(said), phrases.meaning(heard.text)
    if understood is None:
        return "nothing"
    sure = "sure" if heard.confidence >= SURE else "doubtful"
    return f"{sure}, {'right' if understood == meant else 'wrong'}"


async def measure() -> None:
    """Speaks, understands, prints."""
    voice, recognizer = EspeakSynthesizer(), PocketsphinxRecognizer()
    answers: Counter[str] = Counter()
    others: Counter[str] = Counter()
    bare = Counter[str]()
    seconds = []
    for said in (*phrases.EXPECTED, *OTHER):
        for name in VOICES:
            sound = through_mu_law(await voice.speak(said, name))
            started = time.perf_counter()
            heard = await recognizer.recognize(sound, phrases.EXPECTED)
            seconds.append(time.perf_counter() - started)
            (others if said in OTHER else answers)[judge(said, heard)] += 1
            if said in ("yes", "no"):
                bare[judge(said, heard)] += 1
    await voice.close()
    await recognizer.close()
    print(f"{answers.total()} short answers   {dict(answers.most_common())}")
    print(f"of them bare yes and no {dict(bare.most_common())}")
    print(f"{others.total()} other sentences  {dict(others.most_common())}  (right would be: nothing)")
    print(f"time each: median {sorted(seconds)[len(seconds) // 2] * 1000:.0f} ms, longest {max(seconds) * 1000:.0f} ms")


def main() -> None:
    """Runs it."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
