"""Do the results agree with what the phones saw? Number by number, from the two files alone."""

import csv
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Dialog = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Proof:
    """How many rows of the results the phones bear out, of how many, and a sentence for each that they do not."""

    agreeing: int
    total: int
    doubts: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return self.total > 0 and self.agreeing == self.total and not self.doubts


def _said(*words: str) -> Callable[[Dialog], bool]:
    return lambda dialog: _answered(dialog) and bool({*dialog["said"], *dialog["pressed"]} & {*words})


def _answered(dialog: Dialog) -> bool:
    return dialog["answered_at"] is not None


def _code(code: int) -> Callable[[Dialog], bool]:
    return lambda dialog: not _answered(dialog) and dialog["code"] == code


WITNESSED: dict[str, Callable[[Dialog], bool]] = {
    "successful": _said("yes please", "1"),
    "declined": _said("no thank you", "2"),
    "voicemail": lambda dialog: _answered(dialog) and dialog["behaviour"] == "mailbox",
    "hung_up": lambda dialog: _answered(dialog) and dialog["ended_by"] == "phone",
    "no_response": lambda dialog: _answered(dialog) and not dialog["pressed"] and not dialog["said"],
    "busy": _code(486),
    "no_answer": _code(487),
    "unavailable": _code(480),
    "rejected": _code(603),
    "invalid_number": _code(404),
}
"""What a phone must have seen for an outcome or an error code to be true."""


def dialogs_of(phones: Path, batch_id: str) -> dict[str, list[Dialog]]:
    """What the phones wrote down about the calls of a batch when they ended, by number."""
    found: dict[str, list[Dialog]] = defaultdict(list)
    for line in phones.read_text("utf-8").splitlines():
        dialog = json.loads(line)
        if dialog["event"] == "ended" and _bare(str(dialog.get("batch"))) == _bare(batch_id):
            found[dialog["number"]].append(dialog)
    return found


def rows_of(results: Path) -> list[dict[str, str]]:
    """The rows of an export."""
    with results.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def prove(results: Path, phones: Path, batch_id: str) -> Proof:
    """Hold an export against the phones' log.

    A called number must have exactly as many dialogs as the results say attempts, the last of which must fit the
    outcome. A number that was cancelled before its call must have none. A dialog of no row is a doubt too.
    """
    rows, dialogs = rows_of(results), dialogs_of(phones, batch_id)
    doubts = [doubt for row in rows if (doubt := _doubt(row, dialogs.pop(row["called_number"], [])))]
    agreeing = len(rows) - len(doubts)
    doubts += [f"{number}: rang, but no row of the results has it" for number in dialogs]
    return Proof(agreeing, len(rows), tuple(doubts))


def _doubt(row: dict[str, str], dialogs: list[Dialog]) -> str | None:
    number, status = row["called_number"], row["status"]
    if status == "cancelled":
        return f"{number}: cancelled, but its phone saw {len(dialogs)} calls" if dialogs else None
    if len(dialogs) != 1:
        return f"{number}: {status}, but its phone saw {len(dialogs)} calls"
    what = row["outcome"] or row["error_code"]
    fits = WITNESSED.get(what)
    if fits is None or not fits(dialogs[0]):
        return f"{number}: the results say {what}, its phone says {_account(dialogs[0])}"
    return None


def _account(dialog: Dialog) -> str:
    answered = "answered" if _answered(dialog) else "not answered"
    return f"{answered}, code {dialog['code']}, ended by the {dialog['ended_by']}, said {dialog['said']}"


def _bare(batch_id: str) -> str:
    return batch_id.removeprefix("batch_")
