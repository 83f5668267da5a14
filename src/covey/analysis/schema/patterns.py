"""Regular expressions that strangers send, matched in time linear in the text.

Python's `re` backtracks: `(a+)+$` on forty letters takes it hours. So a `pattern` of a request never reaches it, but
RE2, which follows every way through the expression at once. What no such machine can do, back references and
look-around, is refused when the request comes.

RE2 compiles without letting go of the interpreter: 60 KB of `a?` held every other thread for two seconds. So the text
and the program of a pattern are bounded, and so is what the patterns of one request come to together. Matching lets go.
"""

import re2

MOST_CHARACTERS = 1000
MOST_CATEGORIES = 20
r"""So often a pattern may say `\p`: each of a Unicode category takes RE2 a third of a millisecond to read."""

MOST_MEMORY = 1024**2
"""Bytes that one compiled pattern may take: at most some 87,000 instructions were seen, and 25 ms."""

MOST_INSTRUCTIONS = 150_000
"""What the patterns of one request may come to."""

EACH = 50
"""So many instructions a pattern counts besides its own: what it costs however small it is."""


class Unreadable(Exception):
    """The pattern is no regular expression, or uses what is not supported; the text says which, as half a sentence."""


class Pattern:
    """A compiled pattern. It is searched for, not anchored, as JSON Schema says. Raises Unreadable.

    `size` is the number of its instructions: a search takes at most about that times the bytes of the text.
    """

    def __init__(self, text: str) -> None:
        _check_size(text)
        options = re2.Options()
        options.max_mem, options.log_errors = MOST_MEMORY, False
        try:
            self._compiled = re2.compile(_bytes(text), options)
        except re2.error as error:
            raise Unreadable(f"it cannot be matched in linear time, or is not one: {_sentence(error)}") from None
        self.size: int = self._compiled.programsize

    def search(self, text: str) -> bool:
        """Whether the pattern is found anywhere."""
        return self._compiled.search(_bytes(text)) is not None


class Patterns:
    """The patterns of one request or one schema, each compiled once, within a budget for all of them."""

    def __init__(self) -> None:
        self._compiled: dict[str, Pattern] = {}
        self._left = MOST_INSTRUCTIONS

    def get(self, text: str) -> Pattern:
        """The pattern of this text. Raises Unreadable for one that cannot be used, or once they are too much."""
        found = self._compiled.get(text)
        if found is None:
            if self._left <= 0:
                raise Unreadable("with it the patterns of this request are too large together")
            found = self._compiled[text] = Pattern(text)
            self._left -= EACH + found.size
        return found


def _check_size(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise Unreadable(f"it has {len(text):,} characters; at most {MOST_CHARACTERS:,} are taken")
    if text.lower().count("\\p") > MOST_CATEGORIES:
        raise Unreadable(f"it names over {MOST_CATEGORIES} categories of characters by \\p")


def _bytes(text: str) -> bytes:
    """Half a surrogate pair, which JSON may hold, is a question mark here."""
    return text.encode("utf-8", "replace")


def _sentence(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
