"""Speech to sound and sound to speech.

sound        resampling, level and trimming of what the engines make
synthesis    text to PCM: the voice in the wheel (a child process), or an OpenAI-compatible endpoint
recognition  PCM to one of the expected phrases: a grammar (a child process), or an OpenAI-compatible endpoint
cache        a workspace's clips on disk: every line is made once
"""

from typing import Protocol

from covey.calls.call import Recognition


class SpeechError(Exception):
    """The speech engine could not do its work. Nobody was rung for it: the run can be returned."""


class Synthesizer(Protocol):
    """Makes sound of text."""

    name: str
    """Tells engines apart whose sounds must not be mixed; fit for a folder's name."""

    async def speak(self, text: str, voice: str) -> bytes:
        """`text` as PCM (8 kHz, mono, 16 bit); voice "" is the engine's own. Raises `SpeechError`."""
        ...

    async def close(self) -> None:
        """Leaves nothing running."""
        ...


class Recognizer(Protocol):
    """Understands short answers."""

    async def recognize(self, pcm: bytes, expected: tuple[str, ...]) -> Recognition:
        """Which of the `expected` phrases was said in `pcm`, and how sure that is. Raises `SpeechError`."""
        ...

    async def close(self) -> None:
        """Leaves nothing running."""
        ...
