"""Small real media, drawn here."""

from pathlib import Path

import av
import numpy as np


def video(path: Path, seconds: float = 2.0, side: int = 64) -> bytes:
    """An MP4 with a moving bar, ten pictures a second."""
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        for n in range(int(seconds * 10)):
            picture = np.zeros((side, side, 3), np.uint8)
            picture[:, n % side] = 255
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    return path.read_bytes()


def image() -> bytes:
    """A PNG of 8 by 6 pixels."""
    import cv2

    return bytes(cv2.imencode(".png", np.zeros((6, 8, 3), np.uint8))[1])
