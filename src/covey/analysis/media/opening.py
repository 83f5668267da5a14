"""The one function that opens media. Nothing else in Covey does.

A file may be written to make the decoder read another one: a few bytes of ffconcat or HLS name a neighbour, and its
pictures come back as one's own. So the file is handed over as a stream of bytes without a name, only the listed
containers are tried, none of which names other files, and whatever else libav wants to open is refused.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import av
import av.logging
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from covey.analysis.media.errors import BROKEN, LIMIT, TOO_LARGE, Undecodable

IMAGES = ("png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "gif")
CONTAINERS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "asf", "ogg"),
    *("wav", "mp3", "flac", "aac", *IMAGES),
)
MOST_PIXELS = 8192 * 4320
"""Of one picture: 8K as cinemas have it."""

MOST_STREAMS = 64
_COVER = Disposition.attached_pic

av.logging.set_level(None)


@contextmanager
def opened(file: BinaryIO) -> Iterator[InputContainer]:
    """The media in `file`, opened. Raises Undecodable, also for what libav raises inside the block."""
    try:
        options = {"max_pixels": str(MOST_PIXELS), "max_streams": str(MOST_STREAMS), "threads": "1"}
        with av.open(
            _Nameless(file),
            "r",
            options=options,
            container_options={"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"},
            metadata_errors="replace",
            io_open=_refuse,
        ) as container:
            _check(container)
            yield container
    except MemoryError:
        raise Undecodable(LIMIT, "Decoding it takes more memory than a decoder gets") from None
    except (av.FFmpegError, ValueError, UnicodeError, OverflowError, IndexError) as error:
        raise Undecodable(BROKEN, f"It cannot be decoded: {reason(error)}") from None


def reason(error: Exception) -> str:
    """What was wrong, in libav's words for the kind of error; never anything that stands in the file."""
    if isinstance(error, av.FFmpegError) and error.strerror:
        return str(error.strerror)
    return type(error).__name__


def pictures(container: InputContainer) -> VideoStream | None:
    """The stream of pictures, not a cover; None if there is none."""
    return next((stream for stream in container.streams.video if not stream.disposition & _COVER), None)


def is_image(container: InputContainer) -> bool:
    """Whether it is one picture and no video."""
    return container.format.name in IMAGES


class _Nameless:
    """A file for libav to read, which guesses nothing from its name."""

    name = ""

    def __init__(self, file: BinaryIO) -> None:
        self.read: Callable[[int], bytes] = file.read
        self.seek: Callable[[int, int], int] = file.seek
        self.tell: Callable[[], int] = file.tell


def _refuse(url: str, flags: int, options: dict[str, Any]) -> None:
    """Libav wants another file."""
    raise PermissionError


def _check(container: InputContainer) -> None:
    for stream in container.streams.video:
        if stream.width * stream.height > MOST_PIXELS:
            size = f"{stream.width}x{stream.height}"
            raise Undecodable(TOO_LARGE, f"Its pictures are {size}, more than {MOST_PIXELS} pixels")
        stream.thread_count = 1
