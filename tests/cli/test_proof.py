"""The demo's own check: it has to find every way in which results and phones can disagree."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from covey.calls.trunks.demo.behaviours import TABLE
from covey.cli.demo.environment import own_environment
from covey.cli.demo.proof import WITNESSED, prove

YES = {"behaviour": "says_yes", "said": ["yes please"], "answered_at": 1.0, "code": 200, "ended_by": "caller"}
BUSY = {"behaviour": "busy", "answered_at": None, "code": 486, "ended_by": "phone"}


def held(tmp_path: Path, rows: list[tuple[str, str, str, str]], dialogs: list[dict[str, Any]]) -> Any:
    """The proof of results (number, status, outcome, error code) against dialogs."""
    results, phones = tmp_path / "results.csv", tmp_path / "phones.jsonl"
    with results.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("called_number", "status", "outcome", "error_code"))
        writer.writerows(rows)
    facts = {"event": "ended", "batch": "1", "pressed": [], "said": []}
    phones.write_text("".join(json.dumps(facts | dialog) + "\n" for dialog in dialogs))
    return prove(results, phones, "batch_1")


def test_what_agrees_holds(tmp_path: Path) -> None:
    rows = [("+1", "completed", "successful", ""), ("+2", "failed", "", "busy"), ("+3", "cancelled", "", "")]
    other = {"number": "+9", "batch": "2"} | BUSY
    proof = held(tmp_path, rows, [{"number": "+1"} | YES, {"number": "+2"} | BUSY, other])
    assert (proof.agreeing, proof.total, proof.doubts) == (3, 3, ())
    assert proof.holds


@pytest.mark.parametrize(
    ("rows", "dialogs"),
    [
        ([], []),
        ([("+1", "completed", "successful", "")], []),
        ([("+1", "completed", "successful", "")], [{"number": "+1"} | YES, {"number": "+1"} | YES]),
        ([("+1", "completed", "successful", "")], [{"number": "+1"} | BUSY]),
        ([("+1", "completed", "declined", "")], [{"number": "+1"} | YES]),
        ([("+1", "failed", "", "busy")], [{"number": "+1"} | YES]),
        ([("+1", "failed", "", "outcome_unknown")], [{"number": "+1"} | BUSY]),
        ([("+1", "cancelled", "", "")], [{"number": "+1"} | BUSY]),
        ([("+1", "failed", "", "busy")], [{"number": "+1"} | BUSY, {"number": "+2"} | BUSY]),
        ([("+1", "waiting", "", "")], []),
    ],
)
def test_every_disagreement_is_found(
    tmp_path: Path, rows: list[tuple[str, str, str, str]], dialogs: list[dict[str, Any]]
) -> None:
    assert not held(tmp_path, rows, dialogs).holds


def test_every_behaviour_of_the_phones_can_be_witnessed() -> None:
    assert {row.end.value for row in TABLE} <= WITNESSED.keys()


def test_the_demo_reads_nothing_of_the_users_settings() -> None:
    environment = own_environment({"COVEY_TRUNKS__REAL__HOST": "carrier", "covey_port": "1", "PATH": "/bin"})
    assert environment == {"PATH": "/bin"}
