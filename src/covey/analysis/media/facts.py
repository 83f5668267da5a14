"""What is read from a file: plain values, which travel between processes and are kept beside an asset as JSON."""

import json
from dataclasses import asdict, dataclass
from typing import Any

VERSION = "3"
"""Of the facts. It changes with whatever reads them, so that kept facts of before are read anew."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file is. `kind` is `video`, `audio`, `image` or `document`; what is not there is 0, "" or None.

    `seconds` is how long it lasts as its packets say it, whatever its header claims; `width` and `height` are pixels
    as they are shown. `warnings` are sentences about damage.
    """

    kind: str
    seconds: float
    width: int = 0
    height: int = 0
    fps: float = 0.0
    video_codec: str = ""
    audio_codec: str = ""
    container: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def has_audio(self) -> bool:
        """Whether there is sound in it."""
        return bool(self.audio_codec)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Inspection":
        """From its fields as JSON has them."""
        return cls(**{**fields, "warnings": tuple(fields["warnings"])})


@dataclass(frozen=True, slots=True)
class Shot:
    """A stretch without a cut, from `start` to before `end`, in seconds.

    `colour` names the colour that covers most of it; `motion` is `none`, `little`, `some` or `much`.
    """

    start: float
    end: float
    colour: str
    motion: str


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text on the screen, from `start` to `end` in seconds. `score` is 0 to 1, `height` pixels."""

    text: str
    start: float
    end: float
    score: float
    height: float


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture: its time in seconds, and a JPEG."""

    seconds: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """What one pass over a video found. Seconds and pixels.

    `seconds` is how long it lasts, `decoded_seconds` how much of it could be decoded.
    """

    seconds: float
    decoded_seconds: float
    width: int
    height: int
    fps: float
    has_audio: bool
    shots: tuple[Shot, ...]
    texts: tuple[Text, ...]
    warnings: tuple[str, ...] = ()
    version: str = VERSION

    def dump(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def load(cls, data: bytes) -> "Facts":
        """From what `dump` wrote, by any version that had these fields. Raises ValueError, KeyError or TypeError."""
        fields = json.loads(data)
        shots = tuple(Shot(**shot) for shot in fields["shots"])
        texts = tuple(Text(**text) for text in fields["texts"])
        return cls(**{**fields, "shots": shots, "texts": texts, "warnings": tuple(fields["warnings"])})
