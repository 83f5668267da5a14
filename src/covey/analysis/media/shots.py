"""Where the picture cuts, and how much it moves: scores of small pictures, one after the other.

The score of a cut is PySceneDetect's (`ContentDetector`): the mean change of hue, saturation and brightness from one
picture to the next, each 0 to 255. Its threshold is 27, too.
"""

from collections import Counter
from typing import Any, Literal

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from covey.analysis.media.changes import difference
from covey.analysis.media.facts import Shot

Picture = NDArray[np.uint8]

SMALL = 256
"""The longer side of the pictures that are looked at, in pixels."""

CUT_SCORE = 27.0
CUT_SHARE, CUT_CHANGE = 0.8, 40.0
"""A picture of which so much has changed, by so much in the mean, is a cut, too: from teal to dark green hue,
saturation and brightness hardly change."""

SHORTEST_SHOT = 0.4
"""Seconds. What is shorter is a flash."""

_LOOK_SECONDS = 0.2
_CHANGED = 24
_MOTIONS = ((0.0005, "none"), (0.02, "little"), (0.10, "some"), (1.0, "much"))
_DIGITS = 3


class Shots:
    """Takes the pictures of a video in their order; `finish` gives its shots."""

    def __init__(self) -> None:
        self._shots: list[Shot] = []
        self._start: float | None = None
        self._before: tuple[Picture, Picture] | None = None
        self._looked: tuple[float, Picture] | None = None
        self._colours: Counter[str] = Counter()
        self._moved: list[float] = []

    @property
    def start(self) -> float:
        """When the current shot began, in seconds."""
        return self._start or 0.0

    def take(self, seconds: float, picture: Picture) -> bool:
        """One picture (RGB). True if a shot begins with it."""
        hsv: Picture = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV).astype(np.uint8, copy=False)
        cut = self._start is None or self._is_cut(seconds, picture, hsv)
        if cut:
            self._end(seconds)
            self._start = seconds
        self._before = (picture, hsv)
        if self._looked is None or seconds - self._looked[0] >= _LOOK_SECONDS:
            self._look(seconds, picture, hsv)
        return cut

    def finish(self, seconds: float) -> tuple[Shot, ...]:
        """The shots of a video that ends after `seconds`."""
        self._end(seconds)
        return tuple(self._shots)

    def _is_cut(self, seconds: float, picture: Picture, hsv: Picture) -> bool:
        if self._before is None or seconds - self.start < SHORTEST_SHOT:
            return False
        means: Any = cv2.mean(cv2.absdiff(hsv, self._before[1]))
        if float(sum(means[:3])) / 3 >= CUT_SCORE:
            return True
        changed = difference(picture, self._before[0])
        if cv2.mean(changed)[0] < CUT_CHANGE:
            return False
        return int(np.count_nonzero(changed > _CHANGED)) >= CUT_SHARE * changed.size

    def _look(self, seconds: float, picture: Picture, hsv: Picture) -> None:
        """Each channel counts by itself: a red ball on blue may be as bright as what it hides."""
        if self._looked is not None:
            changed = difference(picture, self._looked[1])
            self._moved.append(np.count_nonzero(changed > _CHANGED) / changed.size)
        self._colours.update(areas(hsv))
        self._looked = (seconds, picture)

    def _end(self, seconds: float) -> None:
        if self._start is not None and self._colours:
            moved = sum(self._moved) / len(self._moved) if self._moved else 0.0
            motion = next(name for most, name in _MOTIONS if moved <= most)
            colour = self._colours.most_common(1)[0][0]
            self._shots.append(Shot(round(self._start, _DIGITS), round(seconds, _DIGITS), colour, motion))
        self._colours.clear()
        self._moved.clear()
        self._looked = None


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
