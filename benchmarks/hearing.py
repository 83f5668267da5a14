"""Hearing: what listening and talking cost of a core, a call, without SIP and RTP.

    python -m benchmarks hearing

A minute of a conversation is played to `Conversation` frame by frame, once with a callee who speaks all the time (the
dearest case), once with silence; and a minute of stereo recording is written.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from covey.calls.agents import Agent, Question, render
from covey.calls.call import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE
from covey.calls.conversation import Conversation, Phase
from covey.calls.hearing import UtteranceDetector
from covey.calls.recording import Recording
from covey.calls.speech.synthesis import EspeakSynthesizer

SECONDS = 60
TICKS = round(SECONDS / FRAME_SECONDS)
_TEXT = "Well, I was just thinking about that and I wonder whether we could meet some other day. "


def share(run: Callable[[], object]) -> float:
    """The median of five: seconds of CPU that `run` takes for a minute of a call, in per cent of a core."""
    costs = []
    for _ in range(5):
        started = time.process_time()
        run()
        costs.append(time.process_time() - started)
    return sorted(costs)[2] / SECONDS * 100


def listen(sound: bytes) -> None:
    """An ear alone."""
    ear = UtteranceDetector()
    for tick in range(TICKS):
        ear.hear(sound[tick * FRAME_BYTES : (tick + 1) * FRAME_BYTES], tick * FRAME_SECONDS)
        ear.take_utterance(tick * FRAME_SECONDS)


def converse(sound: bytes, clip: bytes) -> None:
    """A conversation that asks for the whole minute, for nobody answers what it can understand."""
    questions = tuple(Question(name=f"q{number}", ask="Yes?", required=False) for number in range(20))
    script = render(Agent(greeting="Hello.", questions=questions, detect_machine=False), {})
    clips = {line.clip: clip for line in script.lines()}
    conversation = Conversation(script, clips)
    conversation.answered()
    for tick in range(TICKS):
        conversation.next_audio(2 * FRAME_BYTES)
        conversation.hear(sound[tick * FRAME_BYTES : (tick + 1) * FRAME_BYTES], tick * FRAME_SECONDS)
        conversation.take_events()
    assert conversation.phase is not Phase.over


def record(sound: bytes, folder: Path) -> int:
    """A recording of a minute; answers its size in bytes."""
    now = [0.0]
    recording = Recording(folder / "call.flac", lambda: now[0])
    for tick in range(TICKS):
        now[0] = tick * FRAME_SECONDS
        frame = sound[tick * FRAME_BYTES : (tick + 1) * FRAME_BYTES]
        recording.sent(frame)
        recording.heard(frame)
    return recording.close().stat().st_size


async def speech() -> bytes:
    """A minute of speech."""
    voice = EspeakSynthesizer()
    try:
        spoken = await voice.speak(_TEXT, "")
    finally:
        await voice.close()
    return (spoken * (SECONDS * SAMPLE_RATE * 2 // len(spoken) + 1))[: SECONDS * SAMPLE_RATE * 2]


def main() -> None:
    """Measures and prints."""
    spoken = asyncio.run(speech())
    noise = np.random.default_rng(1).normal(0, 20, SECONDS * SAMPLE_RATE).astype("<i2").tobytes()
    print(f"ear, callee speaks all the time     {share(lambda: listen(spoken)):.2f} % of a core")
    print(f"ear, callee is silent               {share(lambda: listen(noise)):.2f} %")
    print(f"conversation, callee speaks         {share(lambda: converse(spoken, spoken[:64000])):.2f} %")
    print(f"conversation, callee is silent      {share(lambda: converse(noise, spoken[:64000])):.2f} %")
    with tempfile.TemporaryDirectory() as folder:
        size = record(spoken, Path(folder))
        cost = share(lambda: record(spoken, Path(folder)))
        print(f"recording, both speak               {cost:.2f} %, {size / 1e6:.2f} MB a minute")


if __name__ == "__main__":
    main()
