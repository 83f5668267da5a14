"""Facts inside a window, and what is said about them."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from covey.analysis.media.facts import Facts, Shot, Text
from covey.analysis.schema.timestamps import TimeFormat, write_time

SHORTEST = 0.001
BEGUN = 0.1
"""Seconds by which a text may be seen before the cut that brings it."""
MOTION = {"none": "no movement", "little": "little movement", "some": "some movement", "much": "much movement"}


class Timeline:
    """The facts of a whole video in the order of time, of which stretches are found quickly."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._texts = sorted(facts.texts, key=lambda text: (text.start, -text.height))
        self._shots = sorted(facts.shots, key=lambda shot: shot.start)
        self._text_starts = [text.start for text in self._texts]
        self._shot_starts = [shot.start for shot in self._shots]
        self._longest_text = max((text.end - text.start for text in self._texts), default=0.0)
        self._longest_shot = max((shot.end - shot.start for shot in self._shots), default=0.0)

    def texts(self, start: float, end: float) -> list[Text]:
        """The lines that are seen between two moments, whole."""
        first = bisect_left(self._text_starts, start - self._longest_text)
        near = self._texts[first : bisect_left(self._text_starts, end)]
        return [text for text in near if text.end > start or start <= text.start == text.end]

    def shots(self, start: float, end: float) -> list[Shot]:
        """The shots between two moments, those at the edges cut there."""
        first = bisect_left(self._shot_starts, start - self._longest_shot)
        near = self._shots[first : bisect_left(self._shot_starts, end)]
        cut = [Shot(max(shot.start, start), min(shot.end, end), shot.colour, shot.motion) for shot in near]
        return [shot for shot in cut if shot.end - shot.start > SHORTEST]


@dataclass(frozen=True, slots=True)
class View:
    """The facts of a stretch of a video, from `start` to `end` in seconds.

    `title` is the first text that begins there, else one that stands there, else what the first shot looks like.
    """

    timeline: Timeline
    start: float
    end: float
    shots: tuple[Shot, ...]
    texts: tuple[Text, ...]
    title: str

    @property
    def whole(self) -> Facts:
        """The facts of all of the video."""
        return self.timeline.facts

    def part(self, start: float, end: float) -> "View":
        """Another stretch of the same video."""
        return _view(self.timeline, start, end)

    @property
    def seconds(self) -> float:
        """How long the stretch is."""
        return max(0.0, self.end - self.start)

    @property
    def colours(self) -> list[str]:
        """Names of colours, the one seen longest first."""
        return longest(self.shots, lambda shot: shot.colour)

    @property
    def motion(self) -> str:
        """`none`, `little`, `some` or `much`: what most of the time has."""
        return (longest(self.shots, lambda shot: shot.motion) or ["none"])[0]

    @property
    def lines(self) -> list[str]:
        """What is written on the screen, each line once, in the order of appearance."""
        return list(dict.fromkeys(text.text for text in self.texts))


def view(facts: Facts, start: float, end: float) -> View:
    """Only what lies inside the window; what crosses its edge is cut there."""
    return _view(Timeline(facts), start, max(start, min(end, facts.seconds or end)))


def _view(timeline: Timeline, start: float, end: float) -> View:
    there, shots = timeline.texts(start, end), timeline.shots(start, end)
    texts = [Text(text.text, max(text.start, start), min(text.end, end), text.score, text.height) for text in there]
    texts.sort(key=lambda text: (text.start, -text.height))
    begun = [text for text in there if text.start >= start - BEGUN]
    look = looks(shots[0]) if shots else "nothing measured"
    title = (begun or there)[0].text if there else look
    return View(timeline, start, end, tuple(shots), tuple(texts), title)


def looks(shot: Shot) -> str:
    """A shot in words: `green scene, some movement`."""
    return f"{shot.colour} scene, {MOTION.get(shot.motion, shot.motion)}"


def at(seconds: float) -> str:
    """A moment in a text: `00:01:02.5`, milliseconds as far as they say something."""
    return (
        str(write_time(seconds, TimeFormat.milliseconds)).rstrip("0").rstrip(".")
        if seconds % 1
        else str(write_time(seconds, TimeFormat.clock))
    )


def number(value: float) -> str:
    """A figure in a text, without zeros that say nothing."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def longest(shots: Iterable[Shot], what: Callable[[Shot], str]) -> list[str]:
    """What shots have, that of the most seconds first."""
    seconds: dict[str, float] = defaultdict(float)
    for shot in shots:
        seconds[what(shot)] += shot.end - shot.start
    return sorted(seconds, key=lambda name: (-seconds[name], name))
