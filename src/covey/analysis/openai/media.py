"""What the backend needs of the decoder, and what kind of file some bytes are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Frame(Protocol):
    """One picture of a video: `seconds` from its start, and the picture as JPEG."""

    @property
    def seconds(self) -> float:
        """From the start of the video."""
        ...

    @property
    def jpeg(self) -> bytes:
        """The picture."""
        ...


class Decoder(Protocol):
    """Pictures and sound of a video; `covey.analysis.media.Decoder` is the real one. Each may raise Undecodable."""

    async def frames(self, file: Path, window: tuple[float, float], count: int, side: int) -> Sequence[Frame]:
        """At most `count` pictures, evenly over the window (seconds), their longer side at most `side` pixels."""
        ...

    async def audio(self, file: Path, window: tuple[float, float]) -> bytes | None:
        """The sound of the window as WAV, 16 kHz, one channel; None if the video has none."""
        ...


_IMAGES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def image_type(data: bytes) -> str | None:
    """The media type of an image by its first bytes; None if it is none that models take."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _IMAGES if data.startswith(start)), None)


def video_type(data: bytes) -> str:
    """The media type of a video by its first bytes."""
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in data[:64] else "video/x-matroska"
    if data[4:12] == b"ftypqt  ":
        return "video/quicktime"
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "video/x-msvideo"
    if data[:1] == b"\x47" and data[188:189] == b"\x47":
        return "video/mp2t"
    return "video/mp4"
