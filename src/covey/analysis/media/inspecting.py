"""What a file is, without decoding more than one picture: its packets say how long it lasts."""

from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from covey.analysis.media.errors import BROKEN, Undecodable
from covey.analysis.media.facts import Inspection
from covey.analysis.media.opening import is_image, opened, pictures, reason
from covey.analysis.media.shots import size

_PDF = b"%PDF-"
_DIFFERS = 1.0
"""Seconds between what the header claims and what the packets say, from which on it is told."""

_FROM_ZERO = "matroska"
"""Its header counts from zero, whatever the first time stamp is; the others count from there."""

_GUESSED_RATE = 25.0
_TRIES = 250
"""Packets without a picture, after which a file has none."""

_DIGITS = 3


def inspect(file: BinaryIO) -> Inspection:
    """What the file is. Raises Undecodable."""
    if file.read(len(_PDF)) == _PDF:
        return Inspection("document", 0.0, container="pdf")
    file.seek(0)
    with opened(file) as container:
        seen = pictures(container)
        if seen is None and not container.streams.audio:
            raise Undecodable(BROKEN, "It has neither pictures nor sound")
        return _image(container, seen) if is_image(container) else _timed(container, seen)


def _image(container: InputContainer, seen: VideoStream | None) -> Inspection:
    if seen is None:
        raise Undecodable(BROKEN, "It has no picture")
    frame = next(iter(container.decode(seen)), None)
    if frame is None:
        raise Undecodable(BROKEN, "It has no picture")
    width, height = size(frame)
    return Inspection("image", 0.0, width, height, 0.0, seen.codec_context.name, "", container.format.name)


def _timed(container: InputContainer, seen: VideoStream | None) -> Inspection:
    sound = next(iter(container.streams.audio), None)
    warnings: list[str] = []
    seconds, first = _measure(container, seen, warnings)
    if seconds <= 0:
        raise Undecodable(BROKEN, "Nothing in it can be decoded")
    width, height = size(first) if isinstance(first, VideoFrame) else (0, 0)
    claimed = claimed_seconds(container)
    if abs(claimed - seconds) > _DIFFERS:
        warnings.append(f"Its header says {claimed:.1f} s, what is in it lasts {seconds:.1f} s")
    return Inspection(
        kind="video" if seen else "audio",
        seconds=round(seconds, _DIGITS),
        width=width,
        height=height,
        fps=rate(seen) if seen else 0.0,
        video_codec=seen.codec_context.name if seen else "",
        audio_codec=sound.codec_context.name if sound else "",
        container=container.format.name,
        warnings=tuple(warnings),
    )


def rate(seen: VideoStream) -> float:
    """Pictures a second, 0 if nothing says it."""
    told = seen.average_rate or seen.guessed_rate
    return round(float(told), _DIGITS) if told else 0.0


def step_of(seen: VideoStream) -> float:
    """Seconds that a picture is shown, where it does not say so itself."""
    return 1 / (rate(seen) or _GUESSED_RATE)


def claimed_seconds(container: InputContainer) -> float:
    """How long the header says it lasts, from its own start; 0 if it says nothing."""
    told, start = container.duration or 0, container.start_time or 0
    if _FROM_ZERO in container.format.name and 0 < start < told:
        told -= start
    return told / av.time_base


def _measure(container: InputContainer, seen: VideoStream | None, warnings: list[str]) -> tuple[float, object]:
    """How long the packets last, in seconds, and the first picture or sound: a file without one is broken."""
    first, last, tries = None, 0.0, 0
    step = step_of(seen) if seen else 0.0
    decoded: object = None
    try:
        for packet in container.demux(seen or container.streams.audio[0]):
            if decoded is None and (tries < _TRIES or packet.size == 0):
                tries += 1
                decoded = _decoded(packet)
            if packet.pts is None or packet.time_base is None:
                continue
            start = float(packet.pts * packet.time_base)
            first = start if first is None else min(first, start)
            last = max(last, start + (float((packet.duration or 0) * packet.time_base) or step))
    except av.FFmpegError as error:
        warnings.append(f"It is damaged after {max(last - (first or 0.0), 0.0):.1f} s: {reason(error)}")
    if decoded is None:
        raise Undecodable(BROKEN, "Nothing in it can be decoded")
    return last - (first or 0.0), decoded


def _decoded(packet: "av.Packet[Any]") -> object:
    """The first of what is in the packet, None if nothing is."""
    try:
        return next(iter(packet.decode()), None)
    except av.FFmpegError:
        return None
