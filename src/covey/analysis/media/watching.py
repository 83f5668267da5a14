"""The one pass over a video: every picture is decoded once, looked at small, and read at full size where it changed."""

from collections.abc import Callable
from typing import BinaryIO

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from covey.analysis.media.errors import BROKEN, LIMIT, NO_VIDEO, Undecodable
from covey.analysis.media.facts import Facts
from covey.analysis.media.inspecting import claimed_seconds, rate, step_of
from covey.analysis.media.opening import is_image, opened, pictures, reason
from covey.analysis.media.reading import Watcher
from covey.analysis.media.shots import SMALL, Picture, Shots, shown, size

READ_SECONDS = 1.0
"""A picture is read so often, and after every cut."""

_MOST_ERRORS = 1000
_DIGITS = 3

Tell = Callable[[float, float], None]


def watch(file: BinaryIO, tell: Tell) -> Facts:
    """The facts of the video in `file`; `tell` is told the seconds decoded, and of how many. Raises Undecodable."""
    cv2.setNumThreads(1)
    with opened(file) as container:
        seen = pictures(container)
        if seen is None:
            raise Undecodable(NO_VIDEO, "It has no pictures, so there is nothing to see")
        try:
            return _Pass(container, seen, tell).run()
        except cv2.error as error:
            raise Undecodable(*_what_opencv_lacks(error)) from None


def _what_opencv_lacks(error: cv2.error) -> tuple[str, str]:
    if error.code == cv2.Error.StsNoMem:
        return LIMIT, "Decoding it takes more memory than a decoder gets"
    return BROKEN, "Its pictures cannot be looked at"


class _Pass:
    """One decode of one video."""

    def __init__(self, container: InputContainer, seen: VideoStream, tell: Tell) -> None:
        self._container = container
        self._seen = seen
        self._tell = tell
        self._fps = 0.0 if is_image(container) else rate(seen)
        self._step = self._lasts = step_of(seen)
        self._claimed = claimed_seconds(container)
        self._shots = Shots()
        self._size = (0, 0)
        self._watcher: Watcher | None = None
        self._first: float | None = None
        self._now = -self._step
        self._read_at = -READ_SECONDS
        self._packets_end = 0.0
        self._errors = 0
        self._warnings: list[str] = []

    def run(self) -> Facts:
        """Decode all of it."""
        try:
            for packet in self._container.demux(self._seen):
                self._packet(packet)
        except av.FFmpegError as error:
            self._warnings.append(f"It is damaged after {max(self._now, 0.0):.1f} s: {reason(error)}")
        if self._watcher is None:
            raise Undecodable(BROKEN, "No picture in it can be decoded")
        return self._facts(self._watcher)

    def _packet(self, packet: "av.Packet[VideoStream]") -> None:
        if packet.pts is not None and packet.time_base is not None:
            lasts = float((packet.duration or 0) * packet.time_base) or self._step
            self._packets_end = max(self._packets_end, float(packet.pts * packet.time_base) + lasts)
        try:
            for frame in packet.decode():
                self._frame(frame)
        except (MemoryError, av.MemoryError):
            raise MemoryError from None
        except av.FFmpegError:
            self._errors += 1
            if self._errors > _MOST_ERRORS:
                raise

    def _frame(self, frame: VideoFrame) -> None:
        self._now = self._time_of(frame)
        self._lasts = float((frame.duration or 0) * (frame.time_base or 0)) or self._step
        if self._watcher is None:
            self._size = size(frame)
            self._watcher = Watcher(*self._size)
        cut = self._shots.take(self._now, self._fitting(shown(frame, "rgb24", SMALL), SMALL))
        if cut or self._now - self._read_at >= READ_SECONDS:
            self._read(self._watcher, frame)
        self._tell(self._now, max(self._claimed, self._now))

    def _read(self, watcher: Watcher, frame: VideoFrame) -> None:
        self._read_at = self._now
        watcher.look(self._now, self._fitting(shown(frame, "bgr24"), max(self._size)))

    def _fitting(self, picture: Picture, side: int) -> Picture:
        """The picture in the size of the first one: a file may change its mind on the way."""
        scale = min(1.0, side / max(self._size))
        width, height = (max(2, round(length * scale)) for length in self._size)
        if picture.shape[:2] == (height, width):
            return picture
        return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)

    def _time_of(self, frame: VideoFrame) -> float:
        """Seconds after the first picture. Damaged files tell none, or tell them backwards."""
        told = frame.time
        if told is None:
            return self._now + self._step
        if self._first is None:
            self._first = told
        return max(told - self._first, self._now, 0.0)

    def _facts(self, watcher: Watcher) -> Facts:
        decoded = max(self._now, 0.0) + self._lasts
        seconds = max(decoded, self._packets_end - (self._first or 0.0))
        if self._errors:
            self._warnings.append(f"{self._errors} parts of it could not be decoded")
        if self._claimed - decoded > 1:
            self._warnings.append(f"Its header says {self._claimed:.1f} s, {decoded:.1f} s could be decoded")
        return Facts(
            seconds=round(seconds, _DIGITS),
            decoded_seconds=round(decoded, _DIGITS),
            width=self._size[0],
            height=self._size[1],
            fps=self._fps,
            has_audio=bool(self._container.streams.audio),
            shots=self._shots.finish(decoded),
            texts=watcher.finish(decoded),
            warnings=tuple(self._warnings),
        )
