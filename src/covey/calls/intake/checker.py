"""The check of a whole list: every row becomes an item's line in one file, or a bad row's in another.

It runs as a process of its own, `python -m covey.calls.intake.checker`: phonenumbers is slow and holds the interpreter,
so the server never runs it. Asked {path, options, rows, bad, progress}; answers {report, sha256}, or {refused} for what
concerns the whole file.
"""

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import phonenumbers

from covey.calls.intake.header import Header, read_header, rows
from covey.calls.intake.number_set import NumberSet
from covey.calls.intake.numbers import SHORTEST_NUMBER, IsDemoNumber, Number, NumberReader
from covey.calls.intake.options import IntakeOptions, NumberRule, OnDuplicate
from covey.calls.intake.report import DUPLICATE, VALUE_SHOWN, BadRow, CheckFiles, Report
from covey.calls.intake.source import Source, control_in, examine
from covey.calls.intake.table import Broken, Record, is_blank
from covey.calls.text import visible
from covey.domain.errors import BadRequest
from covey.processes.child import Answer, serve

PROGRESS_EVERY = 4096
"""Rows between two reports of progress; a power of two."""

Progress = Callable[[int], None]


_DATE = re.compile(r"((19|20)\d\d[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](19|20)\d\d)([T ,].*)?")


NICE = 10
"""Behind the server and its calls when the processors are busy."""


@dataclass(slots=True)
class _Tally:
    total: int = 0
    invalid: int = 0
    duplicates: int = 0
    empty_lines: int = 0
    listed: int = 0
    cut_off_at: int | None = None
    by_code: Counter[str] = field(default_factory=Counter)


def check_file(path: Path, options: IntakeOptions, files: CheckFiles, progress: Progress) -> tuple[Report, str]:
    """Checks the list at `path`; returns its report, without bad rows, and the file's SHA-256.

    `progress` is told the rows checked so far. Raises BadRequest for what concerns the file and not a row.
    """
    for region in filter(None, (options.region, options.country)):
        _check_region(region)
    source = examine(path, options.encoding)
    header = read_header(source, options)
    with files.rows.open("wb") as good, files.bad.open("wb") as bad:
        checker = _Checker(source, header, options, good, bad)
        checker.run(progress)
    return checker.report(), source.sha256


def meant_as_numbers(cells: list[str]) -> list[str]:
    """The cells that have the digits of a phone number and are no date. If there are none the first that is filled, so
    that no row but an empty one is passed over."""
    filled = [cell for cell in cells if visible(cell)]
    digits = [cell for cell in filled if sum(map(str.isdigit, cell)) >= SHORTEST_NUMBER]
    return [cell for cell in digits if not _DATE.fullmatch(visible(cell))] or filled[:1]


class _Checker:
    """One pass over the rows of one list."""

    def __init__(self, source: Source, header: Header, options: IntakeOptions, good: BinaryIO, bad: BinaryIO) -> None:
        self._source = source
        self._header = header
        self._options = options
        self._good = good
        self._bad = bad
        self._numbers = NumberReader(options, _demo_rule(options.rule))
        self._skip_duplicates = options.on_duplicate is OnDuplicate.skip
        self._needed = max((header.columns.index(name) for name in options.placeholders), default=-1)
        self._seen = NumberSet()
        self._tally = _Tally()

    def run(self, progress: Progress) -> None:
        done = 0
        with self._source.open() as text:
            for record in rows(self._source, self._header, text, self._options.limits):
                if isinstance(record, Record) and not record.cells:
                    self._tally.empty_lines += 1
                else:
                    self._row(record)
                done += 1
                if self._tally.listed >= self._options.limits.bad_rows:
                    self._tally.cut_off_at = record.line
                    break
                if not done & (PROGRESS_EVERY - 1):
                    progress(done)
        progress(done)
        if not self._tally.total and not self._tally.invalid:
            raise BadRequest("The file has a header and no row below it.", code="no_data_row")

    def report(self) -> Report:
        tally, header = self._tally, self._header
        return Report(
            total=tally.total,
            invalid=tally.invalid,
            duplicates=tally.duplicates,
            duplicates_skipped=self._skip_duplicates,
            empty_lines=tally.empty_lines,
            by_code=dict(tally.by_code),
            columns=header.columns,
            phone_column=header.columns[header.phone] if header.columns else "",
            separator=header.separator,
            encoding=self._options.encoding,
            cut_off_at=tally.cut_off_at,
        )

    def _row(self, record: Record | Broken) -> None:
        if isinstance(record, Broken):
            if record.fatal:
                self._tally.cut_off_at = record.line
            self._refuse(BadRow(record.line, None, record.value, record.code, record.message))
            return
        if not self._header.columns:
            self._bare_row(record)
            return
        bad = self._shape(record) if self._looks_odd(record) else None
        if bad is not None:
            self._refuse(bad)
            return
        cells, phone = record.cells, self._header.phone
        if phone >= len(cells) or not cells[phone]:
            self._without_number(record)
            return
        number = self._numbers.read(cells[phone])
        if isinstance(number, Number):
            self._accept(record, number)
        elif number.code == "blank_number":
            self._without_number(record)
        else:
            column = self._header.columns[phone]
            self._refuse(BadRow(record.line, column, cells[phone], number.code, number.message, number.suggestion))

    def _bare_row(self, record: Record) -> None:
        cells = meant_as_numbers(record.cells)
        if not cells:
            self._tally.empty_lines += 1
        for cell in cells:
            number = self._numbers.read(cell)
            if isinstance(number, Number):
                self._accept(record, number)
            else:
                self._refuse(BadRow(record.line, None, cell, number.code, number.message, number.suggestion))

    def _accept(self, record: Record, number: Number) -> None:
        if not self._seen.add(int(number.e164[1:])):
            self._tally.duplicates += 1
            if self._skip_duplicates:
                self._list_duplicate(record, number)
                return
        self._tally.total += 1
        values = dict(zip(self._header.columns, record.cells, strict=False))
        given = orjson.dumps({"row": record.line, "values": values})
        self._good.write(b"%s\t%s\t%s\n" % (number.e164.encode(), (number.zone or "").encode(), given))

    def _without_number(self, record: Record) -> None:
        if is_blank(record.cells):
            self._tally.empty_lines += 1
            return
        column = self._header.columns[self._header.phone]
        self._refuse(BadRow(record.line, column, "", "blank_number", "The row has no phone number."))

    def _looks_odd(self, record: Record) -> bool:
        return len(record.cells) != len(self._header.columns) or record.huge or self._source.has_controls

    def _shape(self, record: Record) -> BadRow | None:
        """What is wrong with the cells of a row, whatever they say; fills up a short row that may stay."""
        cells, columns = record.cells, self._header.columns
        if is_blank(cells):
            return None
        for index, cell in enumerate(cells[: len(columns)]):
            if wrong := self._cell(cell):
                return BadRow(record.line, columns[index], cell, *wrong)
        extra = next((cell for cell in cells[len(columns) :] if cell.strip()), None)
        if extra is not None:
            message = f"The row has {len(cells)} cells, the header {len(columns)}."
            hint = f'A cell that holds “{self._header.separator}” must stand in quotes: "…".'
            return BadRow(record.line, None, extra, "too_many_cells", message, hint)
        if self._header.phone < len(cells) <= self._needed:
            missing = columns[self._needed]
            message = f"The row has {len(cells)} cells and ends before {missing}, which the agent speaks of."
            return BadRow(record.line, missing, "", "too_few_cells", message)
        cells.extend([""] * (len(columns) - len(cells)))
        return None

    def _cell(self, cell: str) -> tuple[str, str] | None:
        limit = self._options.limits.cell
        if len(cell) > limit:
            return "cell_too_long", f"The cell has {len(cell):,} characters; at most {limit:,} are taken."
        if self._source.has_controls and (control := control_in(cell)):
            return "control_character", f"The cell holds the control character {control}; remove it."
        return None

    def _refuse(self, row: BadRow) -> None:
        self._tally.invalid += 1
        self._tally.by_code[row.code] += 1
        self._write_bad(row)

    def _list_duplicate(self, record: Record, number: Number) -> None:
        """A row that is left out as wished: in the list of what was skipped, not among the bad ones' count."""
        column = self._header.columns[self._header.phone]
        message = f"{number.e164} stands in an earlier row; duplicates are skipped."
        self._write_bad(BadRow(record.line, column, record.cells[self._header.phone], DUPLICATE, message))

    def _write_bad(self, row: BadRow) -> None:
        if len(row.value) > VALUE_SHOWN:
            shown = row.value[:VALUE_SHOWN] + "…"
            row = BadRow(row.row, row.column, shown, row.code, row.message, row.suggestion)
        self._tally.listed += 1
        self._bad.write(row.dump())


def _demo_rule(rule: NumberRule) -> IsDemoNumber | None:
    if rule is not NumberRule.demo:
        return None
    from covey.calls.trunks.demo import is_demo_number

    return is_demo_number


def _check_region(region: str) -> None:
    if region not in phonenumbers.SUPPORTED_REGIONS:
        message = f"{region} is no region with telephone numbers. It takes two capital letters of ISO 3166, such as US."
        raise BadRequest(message, code="unknown_region")


def answer(header: dict[str, Any], body: bytes) -> Answer:
    """Checks one list."""
    files = CheckFiles(Path(header["rows"]), Path(header["bad"]))
    gauge = os.open(header["progress"], os.O_WRONLY | os.O_CREAT, 0o600)

    def progress(done: int) -> None:
        os.pwrite(gauge, done.to_bytes(8), 0)

    try:
        options = IntakeOptions.load(header["options"])
        report, sha256 = check_file(Path(header["path"]), options, files, progress)
    except BadRequest as error:
        return {"refused": {"code": error.code, "message": error.message, "details": error.details}}, b""
    finally:
        os.close(gauge)
    return {"report": report.dump(), "sha256": sha256}, b""


if __name__ == "__main__":
    os.nice(NICE)
    serve(answer)
