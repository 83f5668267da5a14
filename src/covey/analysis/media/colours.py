"""Names of colours, and how much of a picture each one covers."""

import cv2
import numpy as np
from numpy.typing import NDArray

NAMES = ("black", "white", "grey", "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "brown")

# Hue is 0 to 179, as OpenCV has it: the names of hues and where each ends. Red begins again at the top.
_HUES = ((8, "red"), (20, "orange"), (33, "yellow"), (82, "green"), (98, "cyan"), (128, "blue"), (155, "purple"))
_PINK_ENDS = 170
_BLACK_BELOW, _WHITE_ABOVE, _GREY_BELOW, _BROWN_BELOW = 45, 200, 40, 150

# A pale red is pink, a dull and dark one is brown.
_PALE_BELOW, _PALE_ABOVE = 100, 200
_DULL_BELOW, _DARK_BELOW = 200, 180


def _table() -> NDArray[np.uint8]:
    """The name's number of each hue."""
    table = np.full(256, NAMES.index("red"), np.uint8)
    table[:_PINK_ENDS] = NAMES.index("pink")
    for end, name in reversed(_HUES):
        table[:end] = NAMES.index(name)
    return table


_BY_HUE = _table()


def areas(hsv: NDArray[np.uint8]) -> dict[str, int]:
    """How many pixels of a picture (hue, saturation, brightness) each named colour covers."""
    hue, saturation, value = cv2.split(hsv)
    named = _BY_HUE[hue]
    named[(named == NAMES.index("orange")) & (value < _BROWN_BELOW)] = NAMES.index("brown")
    red = named == NAMES.index("red")
    named[red & (saturation < _PALE_BELOW) & (value > _PALE_ABOVE)] = NAMES.index("pink")
    named[red & (saturation < _DULL_BELOW) & (value < _DARK_BELOW)] = NAMES.index("brown")
    faint = saturation < _GREY_BELOW
    named[faint] = NAMES.index("grey")
    named[faint & (value > _WHITE_ABOVE)] = NAMES.index("white")
    named[value < _BLACK_BELOW] = NAMES.index("black")
    counts = np.bincount(named.ravel(), minlength=len(NAMES))
    return {name: int(count) for name, count in zip(NAMES, counts, strict=True) if count}
