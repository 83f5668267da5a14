"""Answers in text, out of facts."""

from covey.analysis.localfacts.capabilities import MADE_BY, capabilities
from covey.analysis.localfacts.routing import PromptRoute
from covey.analysis.localfacts.window import MOTION, View, at, number

MOST_LISTED = 12
UNREAD = 0.5
"""Seconds that may be missing without a word."""
SIGNED = f"(Made by {MADE_BY}: measured, not understood.)"


def write(route: PromptRoute, seen: View) -> str:
    """The answer to what a prompt asks for, one part a kind."""
    parts = [_WRITERS[kind](route, seen) for kind in route.kinds]
    return "\n\n".join(parts)


def summary(seen: View) -> str:
    """The facts of a stretch as sentences."""
    whole = seen.whole
    length = f"{number(seen.seconds)} seconds"
    if seen.seconds < whole.seconds - 0.05:
        length = f"The part from {at(seen.start)} to {at(seen.end)} of a video of {number(whole.seconds)} seconds"
    else:
        length = f"A video of {length}"
    said = [f"{length}, {whole.width}x{whole.height}, {_count(len(seen.shots), 'scene')}."]
    if seen.lines:
        more = len(seen.lines) - MOST_LISTED
        shown = "; ".join(seen.lines[:MOST_LISTED]) + (f"; and {more} more" if more > 0 else "")
        said.append(f"Text on screen: {shown}.")
    else:
        said.append("No text was found on screen.")
    if seen.shots:
        said.append(f"Main colours: {', '.join(seen.colours[:5])}. Mostly {MOTION.get(seen.motion, seen.motion)}.")
    if whole.decoded_seconds < whole.seconds - UNREAD:
        said.append(f"Only {number(whole.decoded_seconds)} seconds of it could be read.")
    return " ".join(said)


def chapter_title(seen: View, start: float, end: float) -> str:
    """The title of a chapter: its first text, or what it looks like."""
    return seen.part(start, end).title


def _text(route: PromptRoute, seen: View) -> str:
    texts = list(seen.texts)
    if route.quoted:
        wanted = [quote.casefold().strip() for quote in route.quoted]
        texts = [text for text in texts if any(quote in text.text.casefold() for quote in wanted)]
    if not texts:
        what = " reading " + ", ".join(f'"{quote}"' for quote in route.quoted) if route.quoted else ""
        return f"No text{what} was found on screen."
    rows = [f"- {at(text.start)} to {at(text.end)}: {text.text}" for text in texts]
    return "\n".join(["Text on screen:", *rows])


def _chapters(_: PromptRoute, seen: View) -> str:
    if not seen.shots:
        return "No scenes were found."
    rows = [
        f"{index}. {at(shot.start)} to {at(shot.end)}: {chapter_title(seen, shot.start, shot.end)}"
        for index, shot in enumerate(seen.shots, start=1)
    ]
    return "\n".join(["Chapters, one for each stretch between cuts:", *rows])


def _summary(_: PromptRoute, seen: View) -> str:
    return summary(seen)


def _technical(_: PromptRoute, seen: View) -> str:
    facts = seen.whole
    rows = [
        f"- duration: {number(facts.seconds)} seconds ({at(facts.seconds)})",
        f"- resolution: {facts.width}x{facts.height}",
        f"- frame rate: {number(facts.fps)} frames a second",
        f"- audio track: {'yes' if facts.has_audio else 'no'}",
    ]
    if facts.decoded_seconds < facts.seconds - UNREAD:
        rows.append(f"- decoded: {number(facts.decoded_seconds)} seconds")
    return "\n".join(["Technical facts:", *rows, *(f"- warning: {warning}" for warning in facts.warnings)])


def _colours(_: PromptRoute, seen: View) -> str:
    if not seen.shots:
        return "No colours were measured."
    rows = [f"- {at(shot.start)} to {at(shot.end)}: {shot.colour}" for shot in seen.shots]
    return "\n".join([f"Main colours, the one seen longest first: {', '.join(seen.colours)}.", *rows])


def _motion(_: PromptRoute, seen: View) -> str:
    if not seen.shots:
        return "No movement was measured."
    rows = [f"- {at(shot.start)} to {at(shot.end)}: {MOTION.get(shot.motion, shot.motion)}" for shot in seen.shots]
    return "\n".join([f"Mostly {MOTION.get(seen.motion, seen.motion)}.", *rows])


def _title(_: PromptRoute, seen: View) -> str:
    return f"{'First text on screen' if seen.texts else 'No text on screen; it looks like'}: {seen.title}"


def _help(_: PromptRoute, __: View) -> str:
    return f"{MADE_BY} measures a video on this machine and answers about:\n{capabilities()}"


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


_WRITERS = {
    "text": _text,
    "chapters": _chapters,
    "summary": _summary,
    "technical": _technical,
    "colours": _colours,
    "motion": _motion,
    "title": _title,
    "help": _help,
}
