"""Parts of a file for somebody else to look at or to listen to: pictures as JPEG, sound as WAV."""

import io
import wave
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import av
import cv2
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from covey.analysis.media.errors import BROKEN, NO_VIDEO, Undecodable
from covey.analysis.media.facts import Frame
from covey.analysis.media.opening import is_image, opened, pictures
from covey.analysis.media.shots import shown

AUDIO_RATE = 16_000
_JPEG_QUALITY = 85
_LEAD_SECONDS = 0.25
"""Sound is read from so much earlier: decoders lose what comes right after a seek."""

_SEEK_SECONDS = 4.0
"""What is further ahead is sought; what is nearer is decoded up to."""

_MICROSECOND = Fraction(1, av.time_base)
_DIGITS = 3


def frames(file: BinaryIO, window: tuple[float, float], count: int, side: int) -> Iterator[Frame]:
    """`count` pictures, evenly spread over the window (seconds), their longer side at most `side` pixels.

    Fewer, where the window has fewer or damage hides some. Raises Undecodable if there is none at all.
    """
    with opened(file) as container:
        seen = pictures(container)
        if seen is None:
            raise Undecodable(NO_VIDEO, "It has no pictures")
        found = False
        for seconds, frame in _chosen(container, seen, _times(window, 1 if is_image(container) else count)):
            found = True
            yield Frame(round(seconds, _DIGITS), _jpeg(frame, side))
        if not found:
            raise Undecodable(BROKEN, "No picture in this part of it can be decoded")


def audio(file: BinaryIO, window: tuple[float, float]) -> bytes | None:
    """The sound of a window (seconds) as WAV: 16 kHz, mono, 16 bits. None if there is no sound in the file."""
    with opened(file) as container:
        if not container.streams.audio:
            return None
        start, end = window
        resampler = AudioResampler("s16", "mono", AUDIO_RATE)
        written = io.BytesIO()
        with wave.open(written, "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(2)
            wav.setframerate(AUDIO_RATE)
            for samples in _samples(container, resampler, start, end):
                wav.writeframesraw(samples)
        return written.getvalue()


def _times(window: tuple[float, float], count: int) -> list[float]:
    """The middles of `count` equal parts."""
    start, end = window
    part = (end - start) / count
    return [start + (number + 0.5) * part for number in range(count)]


def _chosen(container: InputContainer, seen: VideoStream, times: list[float]) -> Iterator[tuple[float, VideoFrame]]:
    """The picture that is shown at each of the times, each picture once."""
    offset = float(seen.start_time * seen.time_base) if seen.start_time and seen.time_base else 0.0
    decoded, shown = _decoded(container, seen), None
    given = -1.0
    for wanted in times:
        if wanted - (shown[0] if shown else 0.0) > _SEEK_SECONDS:
            container.seek(int((wanted + offset) / (seen.time_base or _MICROSECOND)), stream=seen, backward=True)
            decoded = _decoded(container, seen)
        for frame in decoded:
            seconds = (frame.time if frame.pts is not None else 0.0) - offset
            shown = (seconds, frame)
            if seconds + float((frame.duration or 0) * (frame.time_base or 0)) > wanted:
                break
        if shown is not None and shown[0] > given:
            given = shown[0]
            yield shown


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Pictures one after the other; damaged packets are passed over, damage of the container is the end."""
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.FFmpegError:
                continue
    except av.FFmpegError:
        return


def _jpeg(frame: VideoFrame, side: int) -> bytes:
    picture = shown(frame, "bgr24", side)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return encoded.tobytes()


def _samples(container: InputContainer, resampler: AudioResampler, start: float, end: float) -> Iterator[bytes]:
    stream = container.streams.audio[0]
    offset = (container.start_time or 0) / av.time_base
    container.seek(int((max(0.0, start - _LEAD_SECONDS) + offset) * av.time_base))
    for packet in container.demux(stream):
        try:
            heard = packet.decode()
        except av.FFmpegError:
            continue
        for frame in heard:
            at = (frame.time or offset) - offset
            if at >= end:
                return
            for part in resampler.resample(frame):
                samples = part.to_ndarray().tobytes()
                skipped = max(0, round((start - at) * AUDIO_RATE)) * 2
                kept = max(0, round((end - at) * AUDIO_RATE)) * 2
                yield samples[skipped:kept]
