"""Lists on disk, checked in this process; the child process has tests of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from covey.calls.intake import BadRow, IntakeOptions, NumberRule, OnInvalid, Report
from covey.calls.intake.checker import check_file
from covey.calls.intake.report import CheckFiles


@dataclass(frozen=True)
class Checked:
    """What a check found: the report with all bad rows, and the items as (number, zones, JSON)."""

    report: Report
    sha256: str
    items: list[tuple[str, str, dict[str, Any]]]
    progress: Sequence[int]

    @property
    def numbers(self) -> list[str]:
        return [item[0] for item in self.items]

    @property
    def bad(self) -> tuple[BadRow, ...]:
        return self.report.bad_rows

    @property
    def codes(self) -> list[tuple[int, str]]:
        return [(row.row, row.code) for row in self.bad]


CheckText = Callable[..., Checked]


@pytest.fixture
def check_text(tmp_path: Path) -> CheckText:
    """Checks text or bytes as a file; the options are those of IntakeOptions, the trunk simulated unless named."""

    def run(content: str | bytes, **options: Any) -> Checked:
        path = tmp_path / "list.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return check_path(path, IntakeOptions(**{"rule": NumberRule.simulated, "on_invalid": OnInvalid.skip} | options))

    return run


def check_path(path: Path, options: IntakeOptions) -> Checked:
    """Checks a file here and now."""
    files = CheckFiles(path.with_suffix(".rows"), path.with_suffix(".bad"))
    progress: list[int] = []
    report, sha256 = check_file(path, options, files, progress.append)
    bad = [BadRow.load(line) for line in files.bad.read_bytes().splitlines()]
    items = [line.split(b"\t", 2) for line in files.rows.read_bytes().split(b"\n")[:-1]]
    read = [(number.decode(), zone.decode(), orjson.loads(given)) for number, zone, given in items]
    return Checked(replace(report, bad_rows=tuple(bad)), sha256, read, progress)
