"""Regular expressions that strangers send, matched in time linear in the text.

Python's `re` backtracks: `(a+)+$` on forty letters takes it hours. So a `pattern` of a request never reaches it, but
RE2, which follows every way through the expression at once. What no such machine can do, back references and
look-around, is refused when the request comes.
"""

import re2

MOST_MEMORY = 4 * 1024**2
"""Bytes that one compiled pattern may take."""


class Unreadable(Exception):
    """The pattern is no regular expression, or uses what is not supported; the text says which, as half a sentence."""


class Pattern:
    """A compiled pattern. It is searched for, not anchored, as JSON Schema says. Raises Unreadable."""

    def __init__(self, text: str) -> None:
        options = re2.Options()
        options.max_mem, options.log_errors = MOST_MEMORY, False
        try:
            self._compiled = re2.compile(_bytes(text), options)
        except re2.error as error:
            raise Unreadable(f"it cannot be matched in linear time, or is not one: {_sentence(error)}") from None

    def search(self, text: str) -> bool:
        """Whether the pattern is found anywhere."""
        return self._compiled.search(_bytes(text)) is not None


def _bytes(text: str) -> bytes:
    """Half a surrogate pair, which JSON may hold, is a question mark here."""
    return text.encode("utf-8", "replace")


def _sentence(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
