"""The header of a list: its columns, the one with the numbers, the separator."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import NamedTuple, TextIO

from covey.calls.intake.options import IntakeLimits, IntakeOptions
from covey.calls.intake.report import EMPTY_LINES
from covey.calls.intake.source import Source, control_in
from covey.calls.intake.table import Broken, Record, records
from covey.calls.text import visible
from covey.domain.errors import BadRequest

PHONE_COLUMN = "phone_number"
SEPARATORS = (",", ";")

TITLE_LINES = 20
"""A header that stands below a title is among so many filled lines."""

_SAMPLE = 100
_LIKE_NUMBER = re.compile(r"\s*(?:tel:)?[+＋(]?[\d][\d\s().\-/]{5,24}\s*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_SEP_LINE = re.compile(r"sep=(.)[\r\n]*")
_PHONE_WORD = re.compile(r"phone|mobile|cell|\btel|number", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a list, none if it has no header. `phone` is the index of the numbers; `lines` are the lines up to
    its end."""

    columns: tuple[str, ...]
    phone: int
    separator: str
    lines: int


class _Names(NamedTuple):
    """The names a header seems to have, read with one separator; `line` is its last line."""

    names: list[str]
    line: int
    separator: str


def read_header(source: Source, options: IntakeOptions) -> Header:
    """The header of the list, its separator found by it. Raises BadRequest saying what is wrong with it.

    A list of a single column, or one that begins with a number, has none, if `options` take such lists and name no
    column.
    """
    found = [_names(source, separator, options.limits) for separator in SEPARATORS]
    whole = [one for one in found if isinstance(one, _Names)]
    broken = [one for one in found if isinstance(one, str)]
    named = [one for one in whole if _phone_matches(one.names, options.phone_column)]
    if broken and not named and not any(len(one.names) > 1 for one in whole):
        raise BadRequest(f"The header is broken, {broken[0]}", code="bad_header")
    names, line, separator = max(named or whole, key=lambda one: len(one.names))
    if not named:
        _refuse_title(source, line, options)
    data = not named and any(_LIKE_NUMBER.fullmatch(name) for name in names)
    if options.headerless and options.phone_column is None and (data or (not named and len(names) == 1)):
        return _no_header(source, options.limits)
    if data:
        raise BadRequest(
            f"Line {line} holds data, not names of columns. Put a header above it, such as {PHONE_COLUMN},first_name.",
            code="no_header",
        )
    _check_names(names, options.limits)
    phone = _phone_column(names, source, separator, options)
    _check_placeholders(names, options.placeholders)
    return Header(tuple(names), phone, separator, line)


def rows(source: Source, header: Header, text: TextIO, limits: IntakeLimits) -> Iterator[Record | Broken]:
    """The rows below the header."""
    for record in records(text, header.separator, limits):
        if record.line > header.lines:
            yield record


def _names(source: Source, separator: str, limits: IntakeLimits) -> _Names | str:
    """The first line that is not blank, read with this separator; or what is wrong with it."""
    with source.open() as text:
        for record in records(text, separator, limits):
            if isinstance(record, Broken) and record.code == EMPTY_LINES:
                break
            if isinstance(record, Broken):
                return f"line {record.line}: {record.message}"
            names = [visible(cell) for cell in record.cells]
            while names and not names[-1]:
                names.pop()
            if not names or _is_sep_line(record, separator):
                continue
            inside = sum(len(_LINE_END.findall(cell)) for cell in record.cells)
            return _Names(names, record.line + inside, separator)
    raise BadRequest("The file has no header. Its first filled line must name the columns.", code="no_header")


def _refuse_title(source: Source, line: int, options: IntakeOptions) -> None:
    """Raises BadRequest if the filled line that ends in `line` is a title and the names of columns stand below it:
    else its only cell would be taken for the name of the column of numbers."""
    tops = {separator: _filled(source, separator, options.limits)[:TITLE_LINES] for separator in SEPARATORS}
    named = [row for top in tops.values() for row in top[1:] if _phone_matches(row[1], options.phone_column)]
    below = named[0][0] if named else _header_below(tops[_separator(source, options.limits)])
    if below is not None:
        above = "the line" if below == line + 1 else "the lines"
        raise BadRequest(
            f"Line {line} holds a title, not names of columns; line {below} looks like the header. "
            f"Remove {above} above it.",
            code="title_above_header",
            line=below,
        )


def _header_below(top: list[tuple[int, list[str]]]) -> int | None:
    """The line of what looks like the header, where no column is named as that of the numbers: the last one above the
    first number, if what stands first is one cell, and this is more or speaks of phones. None if there is no such."""
    above = list(takewhile(lambda row: not any(map(_LIKE_NUMBER.search, row[1])), top))
    if len(above) < 2 or len(above) == len(top) or len(top[0][1]) > 1:
        return None
    line, names = above[-1]
    return line if len(names) > 1 or _PHONE_WORD.search(names[0]) else None


def _no_header(source: Source, limits: IntakeLimits) -> Header:
    """A list without a header."""
    separator = _separator(source, limits)
    top = _top(source, separator, limits)
    return Header((), 0, separator, 1 if top and _is_sep_line(top[0], separator) else 0)


def _separator(source: Source, limits: IntakeLimits) -> str:
    """The separator that makes more cells of the first rows."""
    return max(SEPARATORS, key=lambda one: sum(len(record.cells) for record in _top(source, one, limits)))


def _filled(source: Source, separator: str, limits: IntakeLimits) -> list[tuple[int, list[str]]]:
    """The lines of the first rows that are not empty, with their filled cells."""
    top = [one for one in _top(source, separator, limits) if not _is_sep_line(one, separator)]
    rows = [(one.line, list(filter(None, map(visible, one.cells)))) for one in top]
    return [row for row in rows if row[1]]


def _top(source: Source, separator: str, limits: IntakeLimits) -> list[Record]:
    """The first rows, read with this separator."""
    with source.open() as text:
        return [one for one in islice(records(text, separator, limits), _SAMPLE + 1) if isinstance(one, Record)]


def _is_sep_line(record: Record, separator: str) -> bool:
    """Excel's own first line that names the separator."""
    return record.line == 1 and _SEP_LINE.fullmatch(separator.join(record.cells)) is not None


def _check_names(names: list[str], limits: IntakeLimits) -> None:
    if len(names) > limits.columns:
        message = f"The header names {len(names):,} columns; at most {limits.columns} are taken."
        raise BadRequest(message, code="too_many_columns")
    for index, name in enumerate(names):
        _check_name(index, name, limits)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"The header names {_listed(twice)} more than once. Every column needs a name of its own."
        raise BadRequest(message, code="equal_headers", columns=twice)


def _check_name(index: int, name: str, limits: IntakeLimits) -> None:
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
    exact = [index for index, name in enumerate(names) if wanted is not None and name == visible(wanted)]
    return exact or [index for index, name in enumerate(names) if _folded(name) == _folded(wanted or PHONE_COLUMN)]


def _folded(name: str) -> str:
    return re.sub(r"[\s\-]", "_", visible(name)).casefold()


def _like_numbers(names: list[str], source: Source, separator: str, limits: IntakeLimits) -> list[str]:
    """The columns most of whose filled cells, in the first rows, look like phone numbers."""
    sample = [record.cells for record in _top(source, separator, limits)[1:]]
    return [name for index, name in enumerate(names) if _mostly_numbers([r[index] for r in sample if len(r) > index])]


def _mostly_numbers(cells: list[str]) -> bool:
    filled = list(filter(None, map(visible, cells)))
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
