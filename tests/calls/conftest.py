"""Callees for conversations: phones made of synthesized voices, a clock that is only counted, and the real engines."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from threading import Thread

import numpy as np
import pytest
import pytest_asyncio

from covey.calls.call import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE, CallEnd, Recognition, Script, Turn
from covey.calls.conversation import Conversation, FlushAudio, HangUp, Recognize, Said
from covey.calls.speech.recognition import PocketsphinxRecognizer
from covey.calls.speech.synthesis import EspeakSynthesizer

AHEAD_BYTES = 4 * FRAME_BYTES


def through_mu_law(pcm: bytes) -> bytes:
    """PCM as G.711 leaves it (continuous μ-law, 8 bits)."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32768
    small = np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256)
    steps = np.round(small * 127) / 127
    restored = np.sign(steps) * (np.power(256.0, np.abs(steps)) - 1) / 255
    return bytes((restored * 32767).astype("<i2").tobytes())


def tone(hertz: float, seconds: float, level: float = 0.3) -> bytes:
    """A pure tone as PCM."""
    times = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (np.sin(2 * np.pi * hertz * times) * level * 32767).astype("<i2").tobytes()


@dataclass
class Callee:
    """Somebody who was rung: `says` at given times, and `replies` (sound, or a digit) when a line has been said."""

    says: list[tuple[float, bytes]] = field(default_factory=list)
    replies: dict[str, bytes | str] = field(default_factory=dict)
    hangs_up_at: float = 90.0
    sends_rtp: bool = True


@dataclass
class Outcome:
    """What came of a conversation: `heard` is what sounded at the callee's ear."""

    end: CallEnd
    ended_at: float
    conversation: Conversation
    heard: bytes
    flushes: int
    events: list[Turn]

    def line(self, text: str) -> Turn:
        """The turn that says `text`."""
        return next(turn for turn in self.conversation.turns if turn.text == text)


class Telephone:
    """Drives a conversation like the dialler's media loop does, 20 ms at a time, 80 ms ahead."""

    def __init__(
        self,
        conversation: Conversation,
        callee: Callee,
        recognize: Callable[[bytes, tuple[str, ...]], Awaitable[Recognition]],
    ) -> None:
        self.conversation = conversation
        self.callee = callee
        self.recognize = recognize
        self.now = 0.0
        self.buffer = bytearray()
        self.ear = bytearray()
        self.mouth = bytearray()
        self.flushes = 0
        self.events: list[Turn] = []
        self.end: CallEnd | None = None
        for at, sound in callee.says:
            self.utter(at, sound)

    def utter(self, at: float, sound: bytes) -> None:
        start = int(at * SAMPLE_RATE) * 2
        self.mouth += bytes(max(0, start + len(sound) - len(self.mouth)))
        self.mouth[start : start + len(sound)] = sound

    async def call(self) -> Outcome:
        self.conversation.answered()
        while self.end is None and self.now < self.callee.hangs_up_at:
            await self.tick()
        end = self.end or self.conversation.ended_by_callee()
        return Outcome(end, self.now, self.conversation, bytes(self.ear), self.flushes, self.events)

    async def tick(self) -> None:
        self.buffer += self.conversation.next_audio(AHEAD_BYTES - len(self.buffer))
        self.ear += bytes(self.buffer[:FRAME_BYTES]).ljust(FRAME_BYTES, b"\0")
        del self.buffer[:FRAME_BYTES]
        start = round(self.now / FRAME_SECONDS) * FRAME_BYTES
        frame = bytes(self.mouth[start : start + FRAME_BYTES]).ljust(FRAME_BYTES, b"\0")
        self.now = round(self.now + FRAME_SECONDS, 6)
        self.conversation.hear(through_mu_law(frame) if self.callee.sends_rtp else b"", self.now)
        for event in self.conversation.take_events():
            await self.handle(event)

    async def handle(self, event: Said | FlushAudio | Recognize | HangUp) -> None:
        match event:
            case Said(turn):
                self.events.append(turn)
                self.reply(self.callee.replies.get(turn.text))
            case FlushAudio():
                self.flushes += 1
                self.buffer.clear()
            case Recognize(request, pcm, expected):
                self.conversation.recognized(request, await self.recognize(pcm, expected), self.now)
            case HangUp(end):
                self.end = end

    def reply(self, what: bytes | str | None) -> None:
        if isinstance(what, str):
            self.conversation.digit(what, self.now)
        elif what:
            self.utter(self.now + 0.4, what)


Dial = Callable[[Script, Callee], Awaitable[Outcome]]
Voice = Callable[[str], bytes]


@pytest.fixture(scope="session")
def speak() -> Iterator[Voice]:
    """Text to PCM in the voice of the wheel; every text is made once, on an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    synthesizer = EspeakSynthesizer()

    @cache
    def voice(text: str) -> bytes:
        return asyncio.run_coroutine_threadsafe(synthesizer.speak(text, ""), loop).result()

    yield voice
    asyncio.run_coroutine_threadsafe(synthesizer.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def recognizer() -> AsyncIterator[PocketsphinxRecognizer]:
    """The real recognizer, in its child process."""
    made = PocketsphinxRecognizer()
    yield made
    await made.close()


@pytest.fixture
def dial(speak: Voice, recognizer: PocketsphinxRecognizer) -> Dial:
    """Calls a callee with a script, in simulated time."""

    async def call(script: Script, callee: Callee) -> Outcome:
        clips = {line.clip: speak(line.text) for line in script.lines()}
        return await Telephone(Conversation(script, clips), callee, recognizer.recognize).call()

    return call
