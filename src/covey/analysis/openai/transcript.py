"""What is said in a video, by an endpoint with `/audio/transcriptions`."""

from typing import Any

from pydantic import BaseModel, ValidationError

from covey.analysis.backend import ItemRequest
from covey.analysis.openai.document import clean
from covey.analysis.openai.endpoint import ModelEndpoint
from covey.analysis.openai.faults import malformed
from covey.analysis.openai.messages import VideoSource

PIECE_SECONDS = 600.0
"""The sound is sent in pieces: ten minutes of WAV are 19 MB, and endpoints take about 25."""


class _Transcription(BaseModel):
    text: str
    segments: Any = None


class _Segment(BaseModel):
    start: float
    end: float
    text: str


async def transcript_of(ask: ItemRequest, decoder: VideoSource, endpoint: ModelEndpoint, model: str) -> str:
    """The transcript of the window, a line for each stretch with its times; empty without sound or speech.

    Raises Refused, Unsure, Busy or Down, as the endpoint's faults say.
    """
    lines: list[str] = []
    start = ask.start
    while start < ask.end:
        end = min(start + PIECE_SECONDS, ask.end)
        sound = await decoder.audio(ask.file, (start, end))
        if sound is None:
            break
        lines += _lines(await endpoint.transcribe(sound, model), start, end, endpoint.whom)
        start = end
    return "\n".join(lines)


def _lines(body: bytes, start: float, end: float, whom: str) -> list[str]:
    try:
        found = _Transcription.model_validate_json(body)
    except ValidationError:
        raise malformed(whom) from None
    spoken = _segments(found.segments) or [_Segment(start=0.0, end=end - start, text=found.text)]
    return [
        f"[{start + one.start:.1f} to {min(start + one.end, end):.1f} s] {clean(one.text.strip())}"
        for one in spoken
        if one.text.strip()
    ]


def _segments(value: object) -> list[_Segment]:
    """The stretches with times that some endpoints add; none where they do not, or not readably."""
    try:
        return [_Segment.model_validate(one) for one in value] if isinstance(value, list) else []
    except ValidationError:
        return []
