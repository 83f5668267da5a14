"""The names of fields that facts can fill, of the video, of a chapter, of a line of text."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

from covey.analysis.localfacts.capabilities import MADE_BY
from covey.analysis.localfacts.vocabulary import split_words
from covey.analysis.localfacts.window import View, looks
from covey.analysis.localfacts.writing import summary
from covey.analysis.media.facts import Text


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment or a length in seconds; how it is written the schema says."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Scope:
    """What a field is about: the video, its `number`th chapter, a line of text in it, or the segment of such a line."""

    seen: View
    number: int = 0
    text: Text | None = None
    segment: bool = False

    @property
    def label(self) -> str:
        """It as one text."""
        return self.text.text if self.text else self.seen.title


Raw = str | int | float | bool | Moment | Scope | list["Raw"]
_Get = Callable[[Scope], Raw | None]

CONTAINERS = split_words(
    """
    video metadata video_metadata technical technical_metadata info information details properties facts result results
    data answer output analysis file overview
    """
)
"""Objects that are about the same as what they stand in."""


def names(text: str) -> str:
    """A field's name as the tables have it: `textOnScreen` is `text_on_screen`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"[^a-z0-9]+", "_", snake.lower()).strip("_")


def value(name: str, scope: Scope) -> Raw | None:
    """What facts say of a field; None if they say nothing of that name."""
    get = _table(scope).get(names(name))
    return get(scope) if get else None


def known(scope: Scope) -> list[str]:
    """The names that can be filled in a scope, one of those that mean the same."""
    return list({id(get): name for name, get in reversed(_table(scope).items())}.values())[::-1]


def chapters(seen: View) -> list[Raw]:
    """A scope for each shot."""
    return [Scope(seen.part(shot.start, shot.end), index) for index, shot in enumerate(seen.shots, start=1)]


def texts(seen: View) -> list[Raw]:
    """A scope for each line of text."""
    return [Scope(seen, index, text) for index, text in enumerate(seen.texts, start=1)]


def _of(*tables: tuple[str, _Get]) -> dict[str, _Get]:
    return {name: get for some, get in tables for name in some.split()}


def _text_of(scope: Scope) -> Text:
    assert scope.text is not None
    return scope.text


def _aspect(scope: Scope) -> str:
    width, height = scope.seen.whole.width, scope.seen.whole.height
    common = gcd(width, height) or 1
    return f"{width // common}:{height // common}"


_LINES = (
    "text texts text_on_screen on_screen_text texts_on_screen screen_text visible_text lines text_lines ocr ocr_text"
)
_SEEN = _of(
    (f"{_LINES} captions on_screen_texts", lambda scope: texts(scope.seen)),
    (
        "colors colours dominant_colors dominant_colours main_colors main_colours palette",
        lambda s: list(s.seen.colours),
    ),
    (
        "color colour dominant_color dominant_colour main_color main_colour",
        lambda s: s.seen.colours[0] if s.seen.colours else None,
    ),
    ("motion movement motion_level amount_of_motion", lambda scope: scope.seen.motion),
    ("title name heading headline label", lambda scope: scope.seen.title),
    ("text_count line_count number_of_texts number_of_lines", lambda scope: len(scope.seen.texts)),
)

_VIDEO = _SEEN | _of(
    ("summary description overview synopsis abstract gist", lambda scope: summary(scope.seen)),
    (
        "chapters scenes shots segments sections parts timeline chapter_list scene_list shot_list",
        lambda scope: chapters(scope.seen),
    ),
    ("titles chapter_titles scene_titles", lambda scope: [each.label for each in _scopes(chapters(scope.seen))]),
    (
        "chapter_count scene_count shot_count number_of_chapters number_of_scenes number_of_shots num_scenes num_shots",
        lambda scope: len(scope.seen.shots),
    ),
    (
        "duration length duration_seconds length_seconds seconds total_duration video_duration runtime",
        lambda scope: Moment(scope.seen.whole.seconds),
    ),
    ("timestamps times scene_starts shot_starts", lambda scope: [Moment(shot.start) for shot in scope.seen.shots]),
    ("cuts cut_times scene_changes", lambda scope: [Moment(shot.start) for shot in scope.seen.shots[1:]]),
    ("start start_time start_seconds", lambda scope: Moment(scope.seen.start)),
    ("end end_time end_seconds", lambda scope: Moment(scope.seen.end)),
    ("width width_px video_width", lambda scope: scope.seen.whole.width),
    ("height height_px video_height", lambda scope: scope.seen.whole.height),
    ("resolution dimensions size", lambda scope: f"{scope.seen.whole.width}x{scope.seen.whole.height}"),
    ("aspect_ratio aspect", _aspect),
    ("fps frame_rate framerate frames_per_second", lambda scope: scope.seen.whole.fps),
    ("has_audio audio has_sound has_audio_track audio_track", lambda scope: scope.seen.whole.has_audio),
    ("has_text", lambda scope: bool(scope.seen.texts)),
    ("warnings", lambda scope: list(scope.seen.whole.warnings)),
    ("made_by analyzer analyser analyzed_by analysed_by", lambda _: MADE_BY),
)

_CHAPTER = _SEEN | _of(
    (
        "chapter_title scene_title shot_title section_title segment_title chapter scene shot",
        lambda scope: scope.seen.title,
    ),
    (
        "summary description overview visual_description chapter_summary scene_description",
        lambda scope: _chapter_summary(scope.seen),
    ),
    ("start start_time start_seconds begin begins from from_time start_sec", lambda scope: Moment(scope.seen.start)),
    ("time timestamp at starts_at start_timestamp", lambda scope: Moment(scope.seen.start)),
    ("end end_time end_seconds ends to until to_time end_sec ends_at end_timestamp", lambda s: Moment(s.seen.end)),
    ("duration length duration_seconds seconds", lambda scope: Moment(scope.seen.seconds)),
    ("number index id chapter_number scene_number shot_number order no", lambda scope: scope.number),
    ("has_text", lambda scope: bool(scope.seen.texts)),
    ("made_by analyzer analyser", lambda _: MADE_BY),
)

_TEXT = _of(
    ("text line content value caption title label string words name ocr", lambda scope: _text_of(scope).text),
    ("start start_time start_seconds begin from start_sec", lambda scope: Moment(_text_of(scope).start)),
    ("time timestamp at starts_at appears_at first_seen", lambda scope: Moment(_text_of(scope).start)),
    ("end end_time end_seconds ends to until end_sec ends_at last_seen", lambda scope: Moment(_text_of(scope).end)),
    (
        "duration length duration_seconds seconds",
        lambda scope: Moment(max(0.0, _text_of(scope).end - _text_of(scope).start)),
    ),
    ("score confidence", lambda scope: _text_of(scope).score),
    ("height text_height size", lambda scope: _text_of(scope).height),
    ("number index id order no", lambda scope: scope.number),
    ("made_by analyzer analyser", lambda _: MADE_BY),
)


def _table(scope: Scope) -> dict[str, _Get]:
    if scope.text:
        return _CHAPTER | _TEXT if scope.segment else _TEXT
    return _CHAPTER if scope.number else _VIDEO


def _chapter_summary(seen: View) -> str:
    look = looks(seen.shots[0]) if seen.shots else "nothing measured"
    return f"{look}; text: {'; '.join(seen.lines)}" if seen.lines else look


def _scopes(each: list[Raw]) -> list[Scope]:
    return [scope for scope in each if isinstance(scope, Scope)]
