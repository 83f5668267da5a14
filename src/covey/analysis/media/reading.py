"""Text on the screen: lines read from single pictures, joined over time into lines with a start and an end."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

import cv2
import numpy as np
from numpy.typing import NDArray

from covey.analysis.media.facts import Text

LEAST_SCORE = 0.8
"""Shapes are read as stray symbols, with a lower score."""

_LEAST_SIGNS = re.compile(r"[^\W_].*[^\W_]", re.DOTALL)
_DETECT_SIDE = 736
_DETECT_SHARE = 0.7
_LEAST_BOX = 0.4
_LONGEST_SIDE = 4096
_SURE = 0.93
_ALIKE = 0.85
_NOTICE_SIDE = 640
_NOTICE_CHANGE = 24
_NOTICE_PIXELS = 10
_DIGITS = 3

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was read from one picture, and where it stands, in pixels."""

    text: str
    score: float
    left: float
    top: float
    height: float


class Reader:
    """Reads lines from pictures of one size, on one thread, with the models that come with RapidOCR."""

    def __init__(self, width: int, height: int) -> None:
        # Loaded with the first picture: half a second that a file without one does not cost.
        from rapidocr import RapidOCR

        # 736 finds all but one of 60 lines of 12 pixels on 1280, 864 finds all (measured); other sizes keep the share.
        side = max(_DETECT_SIDE, round(max(width, height) * _DETECT_SHARE))
        self._engine = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "Global.max_side_len": _LONGEST_SIDE,
                "Global.text_score": LEAST_SCORE,
                "Det.limit_side_len": side,
                "Det.limit_type": "max",
                "Det.box_thresh": _LEAST_BOX,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, picture: Picture) -> list[Line]:
        """The lines of a picture (BGR), from top to bottom."""
        from rapidocr.utils.output import RapidOCROutput

        found = self._engine(picture)
        if not isinstance(found, RapidOCROutput):
            return []
        if found.boxes is None or found.txts is None or found.scores is None:
            return []
        lines = []
        for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
            left, top = box.min(axis=0)
            height = float(box[:, 1].max() - top)
            if score >= LEAST_SCORE and _LEAST_SIGNS.search(text):
                lines.append(Line(text.strip(), float(score), float(left), float(top), height))
        return lines


@dataclass(slots=True)
class _Standing:
    """A line that was on the last picture."""

    line: Line
    start: float


class Screen:
    """The text of a video: told what each looked-at picture shows, it says what stood there from when to when."""

    def __init__(self) -> None:
        self._standing: list[_Standing] = []
        self._texts: list[Text] = []

    def show(self, seconds: float, lines: list[Line]) -> None:
        """The picture at `seconds` shows these lines, and since the last one nothing else."""
        standing: list[_Standing] = []
        for line in lines:
            known = next((old for old in self._standing if old not in standing and _same(old.line, line)), None)
            if known is None:
                standing.append(_Standing(line, seconds))
                continue
            if line.score > known.line.score:
                known.line = line
            standing.append(known)
        for gone in self._standing:
            if gone not in standing:
                self._take_down(gone, seconds)
        self._standing = standing

    def finish(self, seconds: float) -> tuple[Text, ...]:
        """All lines, in the order in which they came, of a video that ends after `seconds`."""
        for standing in self._standing:
            self._take_down(standing, seconds)
        self._standing = []
        return tuple(sorted(self._texts, key=lambda text: text.start))

    def _take_down(self, standing: _Standing, end: float) -> None:
        line, start = standing.line, round(standing.start, _DIGITS)
        score, height = round(line.score, _DIGITS), round(line.height, 1)
        self._texts.append(Text(line.text, start, round(end, _DIGITS), score, height))


class Notice:
    """Says whether a picture differs from the last one that was read, so that the same text is read once."""

    def __init__(self) -> None:
        self._last: Picture | None = None

    def changed(self, picture: Picture) -> bool:
        """Whether it differs; if so, it is the last one from now on."""
        scale = min(1.0, _NOTICE_SIDE / max(picture.shape[:2]))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        if self._last is not None:
            differs = cv2.absdiff(small, self._last).max(axis=2) > _NOTICE_CHANGE
            if int(differs.sum()) < _NOTICE_PIXELS:
                return False
        self._last = small
        return True


def _same(old: Line, new: Line) -> bool:
    """Whether two readings are of one line: equal, or at the same place and alike where one of them is unsure.

    Digits are never taken for one another: "Step 1" and "Step 2" are two lines.
    """
    if old.text == new.text:
        return True
    near = abs(old.top - new.top) < old.height and abs(old.left - new.left) < 2 * old.height
    unsure = min(old.score, new.score) < _SURE
    if not near or not unsure or re.findall(r"\d", old.text) != re.findall(r"\d", new.text):
        return False
    return SequenceMatcher(None, old.text.lower(), new.text.lower()).ratio() >= _ALIKE
