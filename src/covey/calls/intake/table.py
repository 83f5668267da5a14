"""The rows of a list with the lines they begin in."""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TextIO

from covey.calls.csv_cells import csv_row
from covey.calls.intake.options import IntakeLimits
from covey.calls.intake.report import EMPTY_LINES, UNCLOSED_QUOTE
from covey.domain.errors import BadRequest

LONGEST_LINE = 3_000_000
"""Characters: more than 256 cells of 10,000 can take."""

LONGEST_SCAN = 200_000
"""Characters after which a cell that does not end is given up: twenty of the longest cells."""

_BYTE_ORDER_MARK = "\ufeff"


class Record(NamedTuple):
    """One row as it stands in the file; it begins in `line`. `huge`: it may hold a cell over the limit."""

    line: int
    cells: list[str]
    huge: bool


@dataclass(frozen=True, slots=True)
class Broken:
    """A row whose cells can't be told apart. After a `fatal` one nothing can."""

    line: int
    code: str
    message: str
    value: str
    fatal: bool


class Lines:
    """The lines of a text, for csv.reader, without the byte order marks that it begins with: programs that add one do
    not look whether there is one. Counts characters, so that only large rows need a closer look."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.size = 0
        self.last = ""
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        readline: Callable[[int], str] = self._text.readline
        while line := readline(LONGEST_LINE):
            if len(line) >= LONGEST_LINE:
                raise BadRequest(
                    f"Line {self.count + 1} has over {LONGEST_LINE:,} characters; this is no list in CSV.",
                    code="not_csv",
                )
            if not self.count:
                line = line.lstrip(_BYTE_ORDER_MARK)
            self.count += 1
            self.size += len(line)
            self.last = line
            yield line


class _EmptyLines:
    """Counts the empty rows of a list: in a row, and in all."""

    def __init__(self, limits: IntakeLimits) -> None:
        self._limits = limits
        self._in_a_row = 0
        self._total = 0

    def too_many(self, cells: list[str]) -> bool:
        """Whether this row is one more empty one than a list may have."""
        if not is_blank(cells):
            self._in_a_row = 0
            return False
        self._in_a_row += 1
        self._total += 1
        return self._in_a_row > self._limits.empty_in_a_row or self._total > self._limits.empty_lines

    def broken(self, line: int) -> Broken:
        """The row at which reading stops, which is in `line`."""
        if self._in_a_row > self._limits.empty_in_a_row:
            what = f"{self._in_a_row - 1:,} lines in a row are empty"
        else:
            what = f"{self._total - 1:,} lines are empty"
        message = f"{what}; nothing after them was read. Remove them."
        return Broken(line, EMPTY_LINES, message, "", fatal=True)


def is_blank(cells: list[str]) -> bool:
    """Whether no cell of a row shows anything."""
    return not any(cells) or not any(map(str.strip, cells))


def records(text: TextIO, separator: str, limits: IntakeLimits) -> Iterator[Record | Broken]:
    """All rows of `text`, the header too; blank lines have no cells. Sets csv's limit for this process."""
    csv.field_size_limit(LONGEST_SCAN)
    lines, empty = Lines(text), _EmptyLines(limits)
    reader = csv.reader(iter(lines), delimiter=separator, strict=True)
    begun = 0
    while True:
        try:
            for cells in reader:
                if empty.too_many(cells):
                    yield empty.broken(begun + 1)
                    return
                yield Record(begun + 1, cells, lines.size > limits.cell)
                begun = lines.count
                lines.size = 0
            return
        except csv.Error as error:
            broken = _broken(error, begun + 1, lines)
            yield broken
            if broken.fatal:
                return
            begun = lines.count
            lines.size = 0


def _broken(error: csv.Error, line: int, lines: Lines) -> Broken:
    """A mistake inside of one line is that line's; one that spans lines leaves the rows after it in doubt."""
    one_line = lines.count == line and lines.last.count('"') % 2 == 0
    if not one_line:
        message = "A quote is opened and not closed before the cell ends; nothing after it could be read."
        return Broken(line, UNCLOSED_QUOTE, message, "", fatal=True)
    value = lines.last.rstrip("\r\n")
    if "field limit" in str(error):
        return Broken(line, "cell_too_long", f"A cell has over {LONGEST_SCAN:,} characters.", value, fatal=False)
    return Broken(line, "stray_quote", "Text follows a closing quote inside of a cell.", value, fatal=False)


KNOWN_COLUMNS = ("phone_number", "first_name", "last_name", "email")
"""The columns that docs/contracts/trillet.md names (section 3); every other is the agent's own."""


def template(placeholders: Iterable[str] = ()) -> bytes:
    """The header of a list as a line of CSV: the known columns, then those that the agent speaks of, in that order."""
    return csv_row(dict.fromkeys((*KNOWN_COLUMNS, *placeholders)))
