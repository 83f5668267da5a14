"""Pictures as they are shown: turned as the file says, and no larger than they are wanted."""

from typing import Literal

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


def size(frame: VideoFrame) -> tuple[int, int]:
    """Width and height of a picture as it is shown, in pixels."""
    return (frame.height, frame.width) if _quarters(frame) % 2 else (frame.width, frame.height)


def shown(frame: VideoFrame, colours: Literal["rgb24", "bgr24"], side: int | None = None) -> Picture:
    """A picture upright, its longer side at most `side` pixels."""
    if side is None:
        picture = frame.to_ndarray(format=colours)
    else:
        scale = min(1.0, side / max(frame.width, frame.height))
        width, height = (max(2, round(length * scale)) for length in (frame.width, frame.height))
        picture = frame.to_ndarray(format=colours, width=width, height=height, interpolation="AREA")
    quarters = _quarters(frame)
    upright = cv2.rotate(picture, _TURNS[quarters]) if quarters else picture
    return upright.astype(np.uint8, copy=False)


def _quarters(frame: VideoFrame) -> int:
    """Quarter turns against the clock that make a picture upright. Other angles are not turned."""
    return round(frame.rotation / 90) % 4
