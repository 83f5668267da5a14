"""Text as people see it: what is invisible in a column's name or a number must not tell two of them apart."""

import unicodedata

_IGNORABLE = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))
"""Characters without a shape that Unicode calls letters or marks (Default_Ignorable_Code_Point, but for Cf)."""

_JOINERS = "\u200c\u200d"
"""Invisible too, and yet part of the spelling in Persian, in Indian scripts and of emoji."""


def is_invisible(character: str) -> bool:
    """Whether a character shows nothing at all: a byte order mark, a zero-width space, a direction mark."""
    return unicodedata.category(character) == "Cf" or character in _IGNORABLE


def visible(text: str) -> str:
    """`text` without invisible characters, with plain blanks, trimmed. Joiners stay where a script needs them."""
    if text.isascii():
        return text.strip()
    shown = "".join(map(_shown, text))
    without = shown.translate(dict.fromkeys(map(ord, _JOINERS)))
    if without.isascii():
        return without.strip()
    return shown.strip(_JOINERS).strip().strip(_JOINERS)


def _shown(character: str) -> str:
    if unicodedata.category(character) == "Zs":
        return " "
    return "" if is_invisible(character) and character not in _JOINERS else character
