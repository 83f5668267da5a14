"""Rows on their way into a spreadsheet: a cell that it would run as a formula is made plain text.

The rule is decision 15 of the batch calls contract: a cell that is a plain phone number or number stays as it is; any
other that begins, after blanks, with `= + - @`, their full-width forms, tab, CR or NUL gets a leading `'`.
"""

import csv
import io
import re
from collections.abc import Iterable

Cell = str | int | float | None

_RISKY = re.compile(r"\s*?[=+\-@＝＋－＠\t\r\0]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
_PHONE = re.compile(r"\+[0-9](?:[ .-]?(?:\([0-9]{1,5}\)|[0-9]))*")
_PHONE_DIGITS = range(7, 16)


def safe_cell(text: str) -> str:
    """`text` as a spreadsheet may have it: with a leading `'` if it would be run."""
    if not _RISKY.match(text) or _is_plain(text.strip(" ")):
        return text
    return f"'{text}"


def csv_row(cells: Iterable[Cell], raw: bool = False) -> bytes:
    """One line of CSV in UTF-8 with its CRLF (RFC 4180); None is an empty cell. `raw` leaves every cell as it is."""
    line = io.StringIO()
    csv.writer(line).writerow([_text(cell, raw) for cell in cells])
    return line.getvalue().encode()


def _text(cell: Cell, raw: bool) -> str:
    if cell is None:
        return ""
    return safe_cell(cell) if isinstance(cell, str) and not raw else str(cell)


def _is_plain(text: str) -> bool:
    if _NUMBER.fullmatch(text):
        return True
    return sum(map(str.isdigit, text)) in _PHONE_DIGITS and _PHONE.fullmatch(text) is not None
