"""What local-facts can answer: one list, for its help, its refusals and the docs."""

from covey.analysis.backend import Refused

MADE_BY = "local-facts"
UNSUPPORTED = "unsupported_by_local_facts"

CAPABILITIES: tuple[tuple[str, str], ...] = (
    ("text on screen", "the lines of Latin text that are shown, each with when it is there"),
    ("chapters", "the stretches between cuts (scenes, shots), each with when it is and its first text or main colour"),
    ("summary", "a list of the facts: how long, how many scenes, which text, which colours"),
    ("technical facts", "duration, resolution, frame rate, whether there is an audio track"),
    ("colours", "the main colour of each scene"),
    ("motion", "how much of the picture changes in each scene"),
)
"""Names, and what each is."""


def capabilities() -> str:
    """The list as text, one line each."""
    return "\n".join(f"- {name}: {what}" for name, what in CAPABILITIES)


def refuse(what: str) -> Refused:
    """The refusal of an item: `what` is a sentence, what it can do follows."""
    names = ", ".join(name for name, _ in CAPABILITIES)
    return Refused(UNSUPPORTED, f"{what} {MADE_BY} measures, it does not understand; it can answer about: {names}.")
