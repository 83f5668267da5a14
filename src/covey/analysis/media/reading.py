"""Text on the screen: lines read from pictures, joined over time into lines with a start and an end."""

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from covey.analysis.media.changes import Changes, Picture, Region
from covey.analysis.media.facts import Text

LEAST_SCORE = 0.8
"""Shapes are read as stray symbols, with a lower score."""

_LEAST_SIGNS = re.compile(r"[^\W_].*[^\W_]", re.DOTALL)
_DETECT_SIDE = 736
_DETECT_SHARE = 0.575
_LEAST_BOX = 0.3
_LONGEST_SIDE = 4096
_SURE = 0.93
_ALIKE = 0.85
_ROOM = 0.5
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line as it was read from one picture, and where it stands, in pixels."""

    text: str
    score: float
    left: float
    top: float
    width: float
    height: float

    @property
    def region(self) -> Region:
        """The pixels that it covers, with the room around it that a reader needs."""
        room = self.height * _ROOM
        right, bottom = self.left + self.width + room, self.top + self.height + room
        return Region(int(self.left - room), int(self.top - room), int(right) + 1, int(bottom) + 1)


class TextReader:
    """Reads lines from pictures of one size, on one thread, with the models that come with RapidOCR."""

    def __init__(self, width: int, height: int) -> None:
        # Loaded with the first picture: half a second that a file without one does not cost.
        from rapidocr import RapidOCR

        # With this share and this threshold all of 168 lines of 12 to 44 pixels are found, on 1280 and on 1920, at 0.7
        # of what a share of 0.7 costs (measured).
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

    def read(self, picture: Picture) -> list[TextLine]:
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
            width, height = (float(length) for length in box.max(axis=0) - (left, top))
            if score >= LEAST_SCORE and _LEAST_SIGNS.search(text):
                lines.append(TextLine(text.strip(), float(score), float(left), float(top), width, height))
        return lines


@dataclass(slots=True)
class _Standing:
    """A line that was on the last picture: its best reading, its last one, and since when it is there."""

    line: TextLine
    last: TextLine
    start: float


class Screen:
    """The text of a video: told what each looked-at picture shows, it says what stood there from when to when."""

    def __init__(self) -> None:
        self._standing: list[_Standing] = []
        self._texts: list[Text] = []

    @property
    def lines(self) -> list[TextLine]:
        """What stands on the screen, as it was last read."""
        return [standing.last for standing in self._standing]

    def show(self, seconds: float, lines: list[TextLine]) -> None:
        """The picture at `seconds` shows these lines, and since the last one nothing else."""
        standing: list[_Standing] = []
        for line in lines:
            known = next((old for old in self._standing if old not in standing and _same(old.line, line)), None)
            if known is None:
                standing.append(_Standing(line, line, seconds))
                continue
            known.last = line
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


class Watcher:
    """Reads one picture after the other, of each only what has changed, and says what stood on the screen when."""

    def __init__(self, width: int, height: int) -> None:
        self._reader = TextReader(width, height)
        self._changes = Changes()
        self._screen = Screen()

    def look(self, seconds: float, picture: Picture) -> None:
        """The picture (BGR) at `seconds`."""
        standing = self._screen.lines
        regions = self._changes.since(picture, [line.region for line in standing])
        if not regions:
            return
        lines = [line for line in standing if not any(line.region.meets(region) for region in regions)]
        for region in regions:
            lines += self._read(picture, region)
        self._screen.show(seconds, lines)

    def finish(self, seconds: float) -> tuple[Text, ...]:
        """All lines of a video that ends after `seconds`."""
        return self._screen.finish(seconds)

    def _read(self, picture: Picture, region: Region) -> list[TextLine]:
        part = picture[region.top : region.bottom, region.left : region.right]
        return [
            replace(line, left=line.left + region.left, top=line.top + region.top) for line in self._reader.read(part)
        ]


def _same(old: TextLine, new: TextLine) -> bool:
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
