"""The rows of a list with the lines they begin in, and its header."""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TextIO

from covey.calls.intake.options import IntakeOptions, Limits
from covey.calls.intake.report import UNCLOSED_QUOTE
from covey.calls.intake.source import Source, control_in
from covey.domain.errors import BadRequest

PHONE_COLUMN = "phone_number"
SEPARATORS = (",", ";")

LONGEST_LINE = 3_000_000
"""Characters: more than 256 cells of 10,000 can take."""

LONGEST_SCAN = 200_000
"""Characters after which a cell that does not end is given up: twenty of the longest cells."""

_SAMPLE = 100
_LIKE_NUMBER = re.compile(r"\s*(?:tel:)?[+＋(]?[\d][\d\s().\-/]{5,24}\s*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_SEP_LINE = re.compile(r"sep=(.)[\r\n]*")


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


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a list. `phone` is the index of the numbers; `lines` are the lines up to its end."""

    columns: tuple[str, ...]
    phone: int
    separator: str
    lines: int


class _Names(NamedTuple):
    """The names a header seems to have, read with one separator; `line` is its last line."""

    names: list[str]
    line: int
    separator: str


class Lines:
    """The lines of a text, for csv.reader. Counts characters, so that only large rows need a closer look."""

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
            self.count += 1
            self.size += len(line)
            self.last = line
            yield line


def records(text: TextIO, separator: str, limits: Limits) -> Iterator[Record | Broken]:
    """All rows of `text`, the header too; blank lines have no cells. Sets csv's limit for this process."""
    csv.field_size_limit(LONGEST_SCAN)
    lines = Lines(text)
    reader = csv.reader(iter(lines), delimiter=separator, strict=True)
    begun = 0
    while True:
        try:
            for cells in reader:
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


def read_header(source: Source, options: IntakeOptions) -> Header:
    """The header of the list, its separator found by it. Raises BadRequest saying what is wrong with it."""
    found = [_names(source, separator, options.limits) for separator in SEPARATORS]
    whole = [one for one in found if isinstance(one, _Names)]
    broken = [one for one in found if isinstance(one, str)]
    named = [one for one in whole if _phone_matches(one.names, options.phone_column)]
    if broken and not named and not any(len(one.names) > 1 for one in whole):
        raise BadRequest(f"The header is broken, {broken[0]}", code="bad_header")
    names, line, separator = max(named or whole, key=lambda one: len(one.names))
    if not named and any(_LIKE_NUMBER.fullmatch(name) for name in names):
        raise BadRequest(
            f"Line {line} holds data, not names of columns. Put a header above it, such as {PHONE_COLUMN},first_name.",
            code="no_header",
        )
    _check_names(names, options.limits)
    phone = _phone_column(names, source, separator, options)
    _check_placeholders(names, options.placeholders)
    return Header(tuple(names), phone, separator, line)


def rows(source: Source, header: Header, text: TextIO, limits: Limits) -> Iterator[Record | Broken]:
    """The rows below the header."""
    for record in records(text, header.separator, limits):
        if record.line > header.lines:
            yield record


def _names(source: Source, separator: str, limits: Limits) -> _Names | str:
    """The first line that is not blank, read with this separator; or what is wrong with it."""
    with source.open() as text:
        for record in records(text, separator, limits):
            if isinstance(record, Broken):
                return f"line {record.line}: {record.message}"
            if not any(cell.strip() for cell in record.cells) or _is_sep_line(record, separator):
                continue
            names = [cell.strip() for cell in record.cells]
            while not names[-1]:
                names.pop()
            inside = sum(len(_LINE_END.findall(cell)) for cell in record.cells)
            return _Names(names, record.line + inside, separator)
    raise BadRequest("The file has no header. Its first line must name the columns.", code="no_header")


def _is_sep_line(record: Record, separator: str) -> bool:
    """Excel's own first line that names the separator."""
    return record.line == 1 and _SEP_LINE.fullmatch(separator.join(record.cells)) is not None


def _check_names(names: list[str], limits: Limits) -> None:
    if len(names) > limits.columns:
        message = f"The header names {len(names):,} columns; at most {limits.columns} are taken."
        raise BadRequest(message, code="too_many_columns")
    for index, name in enumerate(names):
        _check_name(index, name, limits)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"The header names {_listed(twice)} more than once. Every column needs a name of its own."
        raise BadRequest(message, code="equal_headers", columns=twice)


def _check_name(index: int, name: str, limits: Limits) -> None:
    if not name:
        raise BadRequest(f"Column {index + 1} has no name in the header. Name it or remove it.", code="bad_header")
    if len(name) > limits.header_name:
        message = (
            f"The name of column {index + 1} (“{name[:20]}…”) has {len(name):,} characters; "
            f"at most {limits.header_name} are taken."
        )
        raise BadRequest(message, code="header_too_long")
    if control := control_in(name):
        hint = "The file may be UTF-16: send encoding=utf-16." if control == "U+0000" else "Remove it."
        message = f"The name of column {index + 1} holds the control character {control}. {hint}"
        raise BadRequest(message, code="bad_header")


def _phone_column(names: list[str], source: Source, separator: str, options: IntakeOptions) -> int:
    matches = _phone_matches(names, options.phone_column)
    if len(matches) == 1:
        return matches[0]
    if matches:
        message = (
            f"More than one column may be {PHONE_COLUMN}: {_listed([names[index] for index in matches])}. "
            "Say which one by phoneColumn."
        )
        raise BadRequest(message, code="ambiguous_phone_column", columns=names)
    likely = _like_numbers(names, source, separator, options.limits)
    missing = options.phone_column or PHONE_COLUMN
    if likely:
        hint = f"These columns look like phone numbers: {_listed(likely)}. Send phoneColumn={likely[0]}, or rename it."
    elif len(names) == 1 and "\t" in names[0]:
        hint = "The header is separated by tabs; save the file with commas or semicolons."
    else:
        hint = "No column looks like phone numbers."
    raise BadRequest(
        f"The header has no column {missing}; it has {_listed(names)}. {hint}",
        code="no_phone_column",
        columns=names,
        candidates=likely,
    )


def _phone_matches(names: list[str], wanted: str | None) -> list[int]:
    """The columns meant by `wanted` (None: `phone_number`): of exactly that name, else of that name spelt otherwise."""
    exact = [index for index, name in enumerate(names) if wanted is not None and name == wanted.strip()]
    return exact or [index for index, name in enumerate(names) if _folded(name) == _folded(wanted or PHONE_COLUMN)]


def _folded(name: str) -> str:
    return re.sub(r"[\s\-]", "_", name.strip()).casefold()


def _like_numbers(names: list[str], source: Source, separator: str, limits: Limits) -> list[str]:
    """The columns most of whose filled cells, in the first rows, look like phone numbers."""
    with source.open() as text:
        below = islice(records(text, separator, limits), 1, _SAMPLE + 1)
        sample = [record.cells for record in below if isinstance(record, Record)]
    return [name for index, name in enumerate(names) if _mostly_numbers([r[index] for r in sample if len(r) > index])]


def _mostly_numbers(cells: list[str]) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and 2 * sum(_LIKE_NUMBER.fullmatch(cell) is not None for cell in filled) >= len(filled)


def _check_placeholders(names: list[str], placeholders: frozenset[str]) -> None:
    missing = sorted(placeholders.difference(names))
    if missing:
        spoken = _listed([f"{{{name}}}" for name in missing])
        raise BadRequest(
            f"The agent says {spoken}, and no column has that name; the columns are {_listed(names)}. "
            "Rename a column or change the agent.",
            code="placeholder_without_column",
            placeholders=missing,
            columns=names,
        )


def _listed(names: list[str], most: int = 20) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
