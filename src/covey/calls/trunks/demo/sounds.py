"""What the phones can say, made once when the farm starts: G.711 frames of 20 ms."""

import asyncio
from typing import Final

import numpy as np
from aiortp import get_codec

from covey.calls.call import FRAME_BYTES, SAMPLE_RATE
from covey.calls.speech.synthesis import EspeakSynthesizer

YES: Final = "yes please"
NO: Final = "no thank you"
GREETING: Final = (
    "Hello, you have reached the mailbox of this number. Nobody can take your call at the moment. "
    "Please leave a message after the tone."
)
BEEP: Final = "beep"

PAYLOAD_TYPE: Final = 0
"""PCMU (RFC 3551)."""

_CODEC: Final = get_codec(PAYLOAD_TYPE)
SILENCE: Final = bytes(_CODEC.encode(bytes(FRAME_BYTES)))

_BEEP_HERTZ: Final = 1000
_BEEP_SECONDS: Final = 0.5

Frames = tuple[bytes, ...]


async def make_sounds() -> dict[str, Frames]:
    """Every sound by its text. The voice is the offline one, in a child process that ends before this returns."""
    synthesizer = EspeakSynthesizer()
    try:
        spoken = {text: await synthesizer.speak(text, "en-us") for text in (YES, NO, GREETING)}
    finally:
        await synthesizer.close()
    return {text: await asyncio.to_thread(frames, pcm) for text, pcm in {**spoken, BEEP: _beep()}.items()}


def frames(pcm: bytes) -> Frames:
    """PCM as encoded frames; the last one is filled up with silence."""
    padded = pcm + bytes(-len(pcm) % FRAME_BYTES)
    return tuple(bytes(_CODEC.encode(padded[at : at + FRAME_BYTES])) for at in range(0, len(padded), FRAME_BYTES))


def _beep() -> bytes:
    time = np.arange(int(_BEEP_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    return (np.sin(2 * np.pi * _BEEP_HERTZ * time) * 12000).astype("<i2").tobytes()
