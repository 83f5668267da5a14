"""Rows on their way into a spreadsheet: a cell that it would run as a formula is made plain text.

The rule (docs/contracts/trillet.md 12.15, export): a cell that is a plain phone number or number stays as it is; any
other that begins, after blanks, with `= + - @`, their full-width forms, tab, CR or NUL gets a leading `'`.

It holds for the parts of a cell, too. Where the list separator is the semicolon, as in most of Europe, Excel takes our
commas and quotes for text and cuts `x;=1+1` in two; so it may do at tabs, bars and the ends of lines inside a cell.
A cell with one of these is quoted: else it could go on with what a number before it began, as `+1,5+A1;` would.
"""

import re
from collections.abc import Iterable

Cell = str | int | float | None

_ENDS = r";|\t\n\v\f\r\x85\u2028\u2029"
"""What ends a cell for some spreadsheet, besides the comma."""

_SKIPPED = rf"(?:[^\S{_ENDS}]|[\x01-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff])"
"""Blanks and invisible characters."""

_RUN = r"=+\-@＝＋－＠\0"

_RISKY = re.compile(rf"(?:{_SKIPPED}|[\n\v\f\x85\u2028\u2029])*[{_RUN}\t\r]")
_RISKY_PART = re.compile(rf"([{_ENDS}])(?=(?:{_SKIPPED}|[\"])*[{_RUN}])([^{_ENDS}]*)")
_QUOTED = re.compile(rf"[,\"{_ENDS}]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
_PHONE = re.compile(r"\+[0-9](?:[ .-]?(?:\([0-9]{1,5}\)|[0-9]))*")
_PHONE_DIGITS = range(7, 16)


def safe_cell(text: str) -> str:
    """`text` as a spreadsheet may have it: with a `'` before what would be run."""
    if _RISKY.match(text) and not _is_plain(text.strip(" ")):
        text = f"'{text}"
    return _RISKY_PART.sub(_safe_part, text)


def csv_row(cells: Iterable[Cell], raw: bool = False) -> bytes:
    """One line of CSV in UTF-8 with its CRLF (RFC 4180); None is an empty cell. `raw` leaves every cell as it is."""
    line = ",".join([_quoted(_text(cell, raw)) for cell in cells])
    return (line or '""').encode() + b"\r\n"


def _text(cell: Cell, raw: bool) -> str:
    if cell is None:
        return ""
    return safe_cell(cell) if isinstance(cell, str) and not raw else str(cell)


def _quoted(text: str) -> str:
    if not _QUOTED.search(text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _safe_part(found: re.Match[str]) -> str:
    end, part = found.groups()
    return found[0] if _is_plain(part.strip(" ")) else f"{end}'{part}"


def _is_plain(text: str) -> bool:
    if _NUMBER.fullmatch(text):
        return True
    return sum(map(str.isdigit, text)) in _PHONE_DIGITS and _PHONE.fullmatch(text) is not None
