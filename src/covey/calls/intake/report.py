"""What the check of a list found: the counts, every bad row with what would be right, and where both lie."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from covey.calls.csv_cells import csv_row
from covey.domain.errors import BadRequest

VALUE_SHOWN = 200
"""Characters of a bad cell that a report shows."""

DUPLICATE = "duplicate"
UNCLOSED_QUOTE = "unclosed_quote"
EMPTY_LINES = "empty_lines"
TOO_MANY_BAD_ROWS = "too_many_bad_rows"


@dataclass(frozen=True, slots=True)
class CheckFiles:
    """Where a check writes: `rows` has a line an item (number, zones, JSON, between tabs), `bad` a bad row as JSON."""

    rows: Path
    bad: Path


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't become an item. `row` is its line in the file, as an editor counts; `column` is the header
    of the cell at fault, None if it is the row itself; `suggestion` is what would be right, where that is known."""

    row: int
    column: str | None
    value: str
    code: str
    message: str
    suggestion: str | None = None

    def dump(self) -> bytes:
        """As one line of JSON."""
        return orjson.dumps(self) + b"\n"

    @classmethod
    def load(cls, line: bytes) -> "BadRow":
        """From what `dump` wrote."""
        return cls(**orjson.loads(line))


@dataclass(frozen=True, slots=True)
class Report:
    """What the check of a list found.

    `total` rows are good and would become items. `duplicates` counts second and later rows with the same number;
    they are in `total` unless `duplicates_skipped`. `invalid` counts all bad rows, `by_code` by their code;
    `bad_rows` are the first of them, in the order of the file. `cut_off_at` is the line after which
    nothing was read: that of a quote that never closes, or where the bad rows or the empty lines were too many. A list
    without a header has no `columns` and "" for `phone_column`; counted are its numbers, of which a row may have many.
    """

    total: int
    invalid: int
    duplicates: int
    duplicates_skipped: bool
    empty_lines: int
    by_code: dict[str, int]
    columns: tuple[str, ...]
    phone_column: str
    separator: str
    encoding: str
    cut_off_at: int | None = None
    bad_rows: tuple[BadRow, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """As the answer of a validation shows it, in the words of the wire."""
        return {
            "totalCalls": self.total,
            "invalidCount": self.invalid,
            "invalidByCode": self.by_code,
            "invalidRows": [asdict(row) for row in self.bad_rows],
            "duplicates": self.duplicates,
            "duplicatesSkipped": self.duplicates_skipped,
            "emptyLines": self.empty_lines,
            "columns": list(self.columns),
            "phoneColumn": self.phone_column,
            "separator": self.separator,
            "encoding": self.encoding,
            "cutOffAt": self.cut_off_at,
        }

    def refusal(self, skip_invalid: bool) -> BadRequest | None:
        """Why a list with this report must not start; None if it may.

        Bad rows refuse a list unless they are to be skipped. What was not read to its end always does: nobody can say
        which rows a quote that never closes swallowed. So does a list without a good row.
        """
        if self.cut_off_at is not None:
            return self._cut_off(self.cut_off_at)
        if self.invalid and not skip_invalid:
            return self._refused(
                "invalid_rows",
                f"{_rows(self.invalid)} of the file can't be called; nothing was started. Correct "
                f"{'it' if self.invalid == 1 else 'them'}, or send onInvalid=skip to leave "
                f"{'it' if self.invalid == 1 else 'them'} out.",
            )
        if not self.total:
            return self._refused("no_usable_row", "No row of the file can be called; invalidRows says why.")
        return None

    def _cut_off(self, line: int) -> BadRequest:
        if UNCLOSED_QUOTE in self.by_code:
            return self._refused(
                UNCLOSED_QUOTE,
                f"The quote opened in line {line} is not closed, so the rows after it can't be told apart. "
                'Close it, or write a quote inside of a cell twice ("").',
            )
        if EMPTY_LINES in self.by_code:
            return self._refused(
                EMPTY_LINES,
                f"So many lines are empty that reading stopped in line {line}; what stands below is not known. "
                "Remove the empty lines.",
            )
        return self._refused(
            TOO_MANY_BAD_ROWS,
            f"Nearly every row is bad or a duplicate; reading stopped in line {line}. invalidRows says what is wrong.",
        )

    def _refused(self, code: str, message: str) -> BadRequest:
        rows = [asdict(row) for row in self.bad_rows]
        return BadRequest(message, code=code, invalidRows=rows, invalidCount=self.invalid)

    def dump(self) -> dict[str, Any]:
        """Everything but the bad rows, for the way out of the child process."""
        return {name: value for name, value in asdict(self).items() if name != "bad_rows"}

    @classmethod
    def load(cls, data: Mapping[str, Any], bad_rows: Iterable[BadRow]) -> "Report":
        """From what `dump` wrote, with its bad rows."""
        return cls(**{**data, "columns": tuple(data["columns"]), "bad_rows": tuple(bad_rows)})


def csv_report(rows: Iterable[BadRow]) -> Iterator[bytes]:
    """Bad rows as CSV, a line each, the header first. Cells that a spreadsheet would run are escaped."""
    yield csv_row(("row", "column", "value", "code", "message", "suggestion"))
    for row in rows:
        yield csv_row((row.row, row.column, row.value, row.code, row.message, row.suggestion))


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
