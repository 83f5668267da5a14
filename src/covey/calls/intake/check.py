"""The list of a batch on its way in: checked by a child process, then read piece by piece."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Self

from covey.calls.intake.options import IntakeOptions, OnInvalid
from covey.calls.intake.report import BadRow, CheckFiles, Report, csv_report
from covey.domain.batch import NewItem
from covey.domain.errors import BadRequest, Unavailable
from covey.processes.child import ChildFailed, ChildProcess, ChildRefused

CHECK_SECONDS = 120.0
"""How long the check of a list may take; the largest takes a twentieth of it on an idle machine."""

PIECE = 500
_LOOK_SECONDS = 0.2
_CSV_BLOCK = 200

Progress = Callable[[int], None]


class IntakeFailed(Unavailable):
    """The list could not be checked: the process that does it died, took too long, or had no disk. Try again."""

    code = "intake_failed"


@dataclass(frozen=True, slots=True)
class CheckedList:
    """A list that was read to its end. Its rows and bad rows lie in two files until `discard`.

    `sha256` is that of the file's content, in hex.
    """

    report: Report
    sha256: str
    options: IntakeOptions
    files: CheckFiles

    @property
    def total(self) -> int:
        """How many items the list makes."""
        return self.report.total

    @property
    def columns(self) -> tuple[str, ...]:
        """The header's names."""
        return self.report.columns

    @property
    def duplicates(self) -> int:
        """How many rows hold a number that an earlier row holds too."""
        return self.report.duplicates

    def refusal(self) -> BadRequest | None:
        """Why this list must not start, with its bad rows; None if it may."""
        return self.report.refusal(self.options.on_invalid is OnInvalid.skip)

    async def pieces(self, size: int = PIECE) -> AsyncGenerator[list[NewItem], None]:
        """The items in the order of the list, `size` at a time.

        `ref` is the number in E.164, `zone` its time zones if they were asked for, `input` the JSON
        `{"row": <line in the file>, "values": {<column>: <cell as it stands in the file>}}`.
        """
        file = await asyncio.to_thread(self.files.rows.open, "rb")
        try:
            while piece := await asyncio.to_thread(_read_piece, file, size):
                yield piece
        finally:
            file.close()

    async def bad_rows(self, size: int = PIECE) -> AsyncIterator[list[BadRow]]:
        """All bad rows, and the duplicates that are skipped, `size` at a time, in the order of the list."""
        file = await asyncio.to_thread(self.files.bad.open, "rb")
        try:
            while lines := await asyncio.to_thread(_read_lines, file, size):
                yield [BadRow.load(line) for line in lines]
        finally:
            file.close()

    async def report_csv(self) -> AsyncIterator[bytes]:
        """All bad rows as CSV, in blocks."""
        with self.files.bad.open("rb") as file:
            lines: Iterator[bytes] = csv_report(map(BadRow.load, file))
            while block := await asyncio.to_thread(_joined, lines):
                yield block

    def keep_bad_rows(self, path: Path) -> None:
        """Moves the file of bad rows (a line of JSON each) to `path`, on the same disk, where `discard` leaves it."""
        self.files.bad.replace(path)

    def discard(self) -> None:
        """Removes the files."""
        _remove(self.files)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.discard()


async def check(
    path: Path,
    options: IntakeOptions,
    workdir: Path,
    *,
    progress: Progress | None = None,
    seconds: float = CHECK_SECONDS,
) -> CheckedList:
    """Checks the CSV file at `path` in a process of its own and writes what it makes of it into `workdir`.

    `progress` is told the rows checked so far, a few times a second. Bad rows raise nothing: they are in the report,
    and `CheckedList.refusal` says what they mean. Raises BadRequest for what concerns the whole file, IntakeFailed
    if the check takes longer than `seconds`, or its process dies twice or can't write. Nothing stays behind
    but what is returned.
    """
    stem = f"intake-{secrets.token_hex(8)}"
    files = CheckFiles(workdir / f"{stem}.rows", workdir / f"{stem}.bad")
    gauge = workdir / f"{stem}.progress"
    child = ChildProcess("covey.calls.intake.checker", seconds)
    question: dict[str, Any] = {
        "path": str(path),
        "options": options.dump(),
        "rows": str(files.rows),
        "bad": str(files.bad),
        "progress": str(gauge),
    }
    try:
        try:
            async with _watched(gauge, progress):
                answer, _ = await child.ask(question)
        finally:
            await child.close()
            gauge.unlink(missing_ok=True)
        if "refused" in answer:
            refused = answer["refused"]
            raise BadRequest(refused["message"], code=refused["code"], **refused["details"])
        report = Report.load(
            answer["report"], await asyncio.to_thread(_first_bad_rows, files.bad, options.limits.report_rows)
        )
    except (ChildFailed, ChildRefused) as error:
        _remove(files)
        raise IntakeFailed from error
    except BaseException:
        _remove(files)
        raise
    return CheckedList(report, answer["sha256"], options, files)


@contextlib.asynccontextmanager
async def _watched(gauge: Path, progress: Progress | None) -> AsyncIterator[None]:
    """Tells `progress` what the child writes into `gauge`, and the last word when it is done."""
    if progress is None:
        yield
        return
    watch = asyncio.create_task(_watch(gauge, progress))
    try:
        yield
        _tell(gauge, progress)
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


async def _watch(gauge: Path, progress: Progress) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        _tell(gauge, progress)


def _tell(gauge: Path, progress: Progress) -> None:
    with contextlib.suppress(FileNotFoundError):
        progress(int.from_bytes(gauge.read_bytes()))


def _read_lines(file: BinaryIO, size: int) -> list[bytes]:
    return list(islice(file, size))


def _read_piece(file: BinaryIO, size: int) -> list[NewItem]:
    return [_item(line) for line in islice(file, size)]


def _item(line: bytes) -> NewItem:
    number, zone, given = line[:-1].split(b"\t", 2)
    return NewItem(given, number.decode(), zone.decode() or None)


def _first_bad_rows(path: Path, most: int) -> list[BadRow]:
    with path.open("rb") as file:
        return [BadRow.load(line) for line in islice(file, most)]


def _joined(lines: Iterator[bytes]) -> bytes:
    return b"".join(islice(lines, _CSV_BLOCK))


def _remove(files: CheckFiles) -> None:
    files.rows.unlink(missing_ok=True)
    files.bad.unlink(missing_ok=True)
