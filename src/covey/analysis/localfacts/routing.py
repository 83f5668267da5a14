"""What a prompt asks for: kinds of answers, found by its words. English, and tolerant of how it is put."""

import re
from dataclasses import dataclass

from covey.analysis.localfacts.capabilities import refuse
from covey.analysis.localfacts.vocabulary import FUNCTION, HARD, KINDS, ONE_THING, PHRASES, QUESTION, VIDEO

MOST_CHARACTERS = 20_000
_QUOTED = re.compile(r"[\"“”]([^\"“”]{1,200})[\"“”]|(?<!\w)['‘]([^'’]{1,200})['’](?!\w)")
_KNOWN = FUNCTION | VIDEO | frozenset().union(*KINDS.values())
_ANY_VIDEO = (
    VIDEO
    | frozenset().union(*KINDS.values())
    | {
        "main",
        "most",
        "dominant",
        "first",
        "last",
        "average",
        "amount",
        "key",
        "points",
        "change",
        "changes",
        "details",
    }
)

_WRITTEN = KINDS["text"] | KINDS["title"]


@dataclass(frozen=True, slots=True)
class PromptRoute:
    """The kinds of answers that a prompt asks for, in their order, and the texts it quotes."""

    kinds: tuple[str, ...]
    quoted: tuple[str, ...] = ()


def route(prompt: str) -> PromptRoute:
    """What a prompt asks for. Raises Refused where facts cannot say it."""
    text = prompt[:MOST_CHARACTERS].lower()
    quoted = tuple(a or b for a, b in _QUOTED.findall(prompt[:MOST_CHARACTERS]))
    bare = re.sub(r"\s+", " ", _QUOTED.sub(" ", text)).strip()
    kinds = kinds_of(bare)
    if kinds == ("help",):
        return PromptRoute(kinds)
    hard = beyond(bare)
    if hard:
        raise refuse(f"The prompt asks about {hard!r}, which facts cannot say.")
    if not kinds and quoted and re.search(r"\b(?:when|where|time|times|appears?|shown|find)\b", bare):
        kinds = ("text",)
    if not kinds:
        raise refuse("The prompt asks for nothing that was recognised.")
    return PromptRoute(kinds, quoted if "text" in kinds else ())


def kinds_of(text: str) -> tuple[str, ...]:
    """The kinds of answers that lower-case words ask for, in the order in which they are named."""
    places: dict[str, int] = {}
    for pattern, kind in PHRASES:
        if found := re.search(pattern, text):
            places[kind] = min(found.start(), places.get(kind, found.start()))
    for found in re.finditer(r"[a-z]+", text):
        for kind, words in KINDS.items():
            if found[0] in words:
                places[kind] = min(found.start(), places.get(kind, found.start()))
    for weak in ("help", "title"):
        if len(places) > 1:
            places.pop(weak, None)
    return tuple(sorted(places, key=lambda kind: places[kind]))


def beyond(text: str) -> str | None:
    """The first thing in lower-case words that facts cannot say; None if there is none."""
    plain = text
    for pattern, _ in PHRASES:
        plain = re.sub(pattern, " ", plain)
    words: list[str] = re.findall(r"[^\W\d_]+", plain)
    for word in words:
        if word in HARD:
            return word
    thing = re.search(ONE_THING, plain)
    if thing and (thing[2] not in _ANY_VIDEO or (thing[1] in KINDS["colours"] and thing[2] in _WRITTEN)):
        return str(thing[2])
    if re.match(QUESTION, plain.strip()):
        return next((word for word in words if word not in _KNOWN), None)
    return None
