"""Draws short videos whose truth is known: coloured scenes with hard cuts, lines of text, a shape that moves.

For the tests, the benchmarks and the demo: nothing is downloaded, and every answer can be held against what was drawn.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image, ImageDraw, ImageFont

_MARGIN = 40
_SAMPLES = 48_000
_CODECS = {".webm": ("libvpx", "libopus"), ".mkv": ("libx264", "aac"), ".avi": ("mpeg4", "mp3")}


@dataclass(frozen=True, slots=True)
class Ball:
    """A disc that crosses the picture; `seconds` from one side to the other."""

    colour: str
    radius: int = 60
    seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class DrawnScene:
    """A stretch of `seconds` in one colour (as Pillow names it), with lines of text (text, height in pixels)."""

    seconds: float
    colour: str
    lines: tuple[tuple[str, int], ...] = ()
    ball: Ball | None = None
    ink: str = "white"


@dataclass(frozen=True, slots=True)
class Truth:
    """What was drawn. `cuts` are the seconds at which a new scene begins, `lines` (text, start, end)."""

    seconds: float
    cuts: tuple[float, ...]
    lines: tuple[tuple[str, float, float], ...]


def draw(
    path: Path,
    scenes: Sequence[DrawnScene],
    size: tuple[int, int] = (1280, 720),
    fps: int = 25,
    tone: float | None = None,
    options: dict[str, str] | None = None,
) -> Truth:
    """Writes a video of the scenes to `path` (mp4, mkv, webm or avi by its ending); `tone` is a sound in hertz."""
    picture_codec, sound_codec = _CODECS.get(path.suffix, ("libx264", "aac"))
    with av.open(str(path), "w", options=options or {}) as container:
        stream = cast(VideoStream, container.add_stream(picture_codec, rate=fps))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        sound = cast(AudioStream, container.add_stream(sound_codec, rate=_SAMPLES)) if tone else None
        for number, image in enumerate(_images(scenes, size, fps)):
            frame = av.VideoFrame.from_ndarray(np.asarray(image), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None and tone:
            _sing(container, sound, tone, sum(scene.seconds for scene in scenes))
    return _truth(scenes, fps)


def _images(scenes: Sequence[DrawnScene], size: tuple[int, int], fps: int) -> Iterator[Image.Image]:
    for scene in scenes:
        card = _card(scene, size)
        for number in range(round(scene.seconds * fps)):
            yield card if scene.ball is None else _with_ball(card, scene.ball, number / fps)


def _card(scene: DrawnScene, size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, scene.colour)
    pen = ImageDraw.Draw(image)
    top = _MARGIN
    for text, height in scene.lines:
        pen.text((_MARGIN, top), text, fill=scene.ink, font=ImageFont.load_default(height))
        top += height * 2
    return image


def _with_ball(card: Image.Image, ball: Ball, seconds: float) -> Image.Image:
    image = card.copy()
    way = card.width - 2 * ball.radius
    turn = (seconds / ball.seconds) % 2
    x = ball.radius + way * (turn if turn < 1 else 2 - turn)
    y = card.height - 2 * ball.radius
    ImageDraw.Draw(image).ellipse((x - ball.radius, y - ball.radius, x + ball.radius, y + ball.radius), ball.colour)
    return image


def _sing(container: OutputContainer, stream: AudioStream, tone: float, seconds: float) -> None:
    times = np.arange(int(seconds * _SAMPLES)) / _SAMPLES
    wave = (np.sin(2 * math.pi * tone * times) * 8000).astype(np.int16).reshape(1, -1)
    for start in range(0, wave.shape[1], 960):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[:, start : start + 960]), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = _SAMPLES, start, Fraction(1, _SAMPLES)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _truth(scenes: Sequence[DrawnScene], fps: int) -> Truth:
    starts, lines, now = [], [], 0.0
    for scene in scenes:
        starts.append(now)
        end = now + round(scene.seconds * fps) / fps
        lines += [(text, now, end) for text, _ in scene.lines]
        now = end
    return Truth(now, tuple(starts[1:]), tuple(lines))
