"""Rows of a list without a header: which of their cells are meant as numbers."""

import re

from covey.calls.intake.numbers import SHORTEST_NUMBER
from covey.calls.text import visible

_DATE = re.compile(r"((19|20)\d\d[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](19|20)\d\d)([T ,].*)?")


def meant_as_numbers(cells: list[str]) -> list[str]:
    """The cells that have the digits of a phone number and are no date. If there are none the first that is filled, so
    that no row but an empty one is passed over."""
    filled = [cell for cell in cells if visible(cell)]
    digits = [cell for cell in filled if sum(map(str.isdigit, cell)) >= SHORTEST_NUMBER]
    return [cell for cell in digits if not _DATE.fullmatch(visible(cell))] or filled[:1]
