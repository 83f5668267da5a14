"""Segments by shots and by text, for `time_based_metadata`."""

import re
from itertools import pairwise
from math import ceil
from typing import Any

from covey.analysis.localfacts.capabilities import refuse
from covey.analysis.localfacts.fields import Scope
from covey.analysis.localfacts.filling import Filler, Unknown, unknown
from covey.analysis.localfacts.routing import MOST_CHARACTERS, beyond, kinds_of
from covey.analysis.localfacts.window import View
from covey.analysis.media.facts import Text
from covey.analysis.schema.segments import field_schema
from covey.analysis.schema.timestamps import TimeFormat, write_time
from covey.analysis.schema.validation import Costly

COLOURS = ("black", "white", "grey", "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "brown")
MOVED = ("some", "much")
Span = tuple[float, float]
Lengths = tuple[float | None, float | None]


def segments_of(definition: dict[str, Any], seen: View, lengths: Lengths, how: TimeFormat) -> list[dict[str, Any]]:
    """The segments of one definition: `{start_time, end_time, metadata}`. `lengths` are the least and most seconds.

    Raises Refused where the definition or a field of it asks for what facts cannot say.
    """
    said = f"{re.sub(r'[_-]+', ' ', definition['id'])}. {definition['description']}"[:MOST_CHARACTERS].lower()
    stretches = [seen]
    if definition.get("time_ranges"):
        stretches = [
            seen.part(max(seen.start, span["start_time"]), min(seen.end, span["end_time"]))
            for span in definition["time_ranges"]
            if span["start_time"] < seen.end and span["end_time"] > seen.start
        ]
    kind = _kind(definition["id"], said)
    if kind == "text":
        found = [each for stretch in stretches for each in _of_texts(stretch, lengths)]
    else:
        found = [(span, None) for stretch in stretches for span in _of_shots(said, stretch, lengths)]
    scopes = [Scope(seen.part(*span), index, text, segment=True) for index, (span, text) in enumerate(found, start=1)]
    return [_segment(definition, scope, how) for scope in scopes]


def _kind(name: str, text: str) -> str:
    """By what the segments of a definition are found: `text` or `chapters`."""
    hard = beyond(text)
    if hard:
        raise refuse(f"The segment definition {name[:64]!r} asks about {hard!r}, which facts cannot say.")
    kinds = [kind for kind in kinds_of(text) if kind in ("text", "chapters", "colours", "motion", "title")]
    if not kinds and not _colours(text):
        raise refuse(f"The segment definition {name[:64]!r} asks for nothing that was recognised.")
    by_text = "text" in kinds or kinds == ["title"]
    return "text" if by_text and "chapters" not in kinds else "chapters"


def _colours(text: str) -> list[str]:
    words = set(re.findall(r"[a-z]+", text.replace("gray", "grey")))
    return [colour for colour in COLOURS if colour in words]


def _of_texts(seen: View, lengths: Lengths) -> list[tuple[Span, Text | None]]:
    """A stretch for each line of text."""
    least, most = lengths
    return [
        (part, text)
        for text in seen.texts
        for span in _stretched((text.start, text.end), least or 0.0, seen)
        for part in _split(span, least or 0.0, most)
    ]


def _of_shots(text: str, seen: View, lengths: Lengths) -> list[Span]:
    """The shots, of the colours and with the movement that a definition names if it names any."""
    least, most = lengths
    colours = _colours(text)
    moves = re.search(r"\b(?:moving|movement|motion|moves)\b", text)
    any_ = re.search(r"\b(?:no|amount|level)\b", text)
    shots = [
        (shot.start, shot.end)
        for shot in seen.shots
        if (not colours or shot.colour in colours) and (not moves or any_ or shot.motion in MOVED)
    ]
    return [part for span in _merged(shots, least or 0.0) for part in _split(span, least or 0.0, most)]


def _merged(spans: list[Span], least: float) -> list[Span]:
    """What is too short grows by the next without a gap; a last one joins the one before; alone it is left out."""
    out: list[Span] = []
    for start, end in spans:
        if out and _touch(out[-1][1], start) and out[-1][1] - out[-1][0] < least:
            out[-1] = (out[-1][0], end)
        else:
            if out and out[-1][1] - out[-1][0] < least:
                _join_last(out)
            out.append((start, end))
    if out and out[-1][1] - out[-1][0] < least:
        _join_last(out)
    return [span for span in out if span[1] - span[0] >= least - 0.001]


def _join_last(spans: list[Span]) -> None:
    """The last joins the one before it, if they touch."""
    if len(spans) > 1 and _touch(spans[-2][1], spans[-1][0]):
        spans[-2:] = [(spans[-2][0], spans[-1][1])]


def _touch(end: float, start: float) -> bool:
    return abs(end - start) < 0.01


def _stretched(span: Span, least: float, seen: View) -> list[Span]:
    """At least so long: what is too short begins earlier and ends later, inside the window; none if it cannot."""
    start, end = span
    lacking = least - (end - start)
    if lacking <= 0:
        return [span]
    if seen.seconds < least:
        return []
    first = min(max(seen.start, start - lacking / 2), seen.end - least)
    return [(first, first + least)]


def _split(span: Span, least: float, most: float | None) -> list[Span]:
    """Equal parts, none longer than `most`; where they would be too short, parts of `most`, and the rest left out."""
    start, end = span
    if not most:
        return [span]
    parts = max(1, ceil((end - start) / most - 1e-9))
    length = (end - start) / parts
    if length < least - 1e-9:
        parts, length = int((end - start) / most), most
    edges = [start + length * index for index in range(parts + 1)]
    return list(pairwise(edges))


def _segment(definition: dict[str, Any], scope: Scope, how: TimeFormat) -> dict[str, Any]:
    filler = Filler({})
    try:
        metadata = {
            field["name"]: filler.field(field["name"], field_schema(field), scope)
            for field in definition.get("fields") or []
        }
    except Unknown as error:
        raise unknown(error) from None
    except Costly:
        raise refuse("The fields ask for more than may be worked out for one segment.") from None
    start, end = write_time(scope.seen.start, how), write_time(scope.seen.end, how)
    return {"start_time": start, "end_time": end, "metadata": metadata}
