"""Where the picture cuts, and how much it moves: scores of small pictures, one after the other.

The score of a cut is PySceneDetect's (`ContentDetector`): the mean change of hue, saturation and brightness from one
picture to the next, each 0 to 255. Its threshold is 27, too.
"""

from collections import Counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from covey.analysis.media.changes import difference
from covey.analysis.media.colours import areas
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
