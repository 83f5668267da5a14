"""Documentation that is made of code says what the code says."""

from pathlib import Path

from covey.calls.trunks.demo.behaviours import behaviours

DOCS = Path(__file__).parent.parent / "docs"


def test_the_demo_phones_are_documented_as_they_behave() -> None:
    page = (DOCS / "demo-phones.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and line[2].isdigit()]
    expected = [f"| {b.first:02d} to {b.last:02d} | {b.what} | `{b.end.value}` |" for b in behaviours()]
    assert rows == expected


def test_every_decision_is_numbered_once_and_short() -> None:
    decisions = sorted(path for path in (DOCS / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    assert [path.name for path in decisions if len(path.read_text().splitlines()) > 30] == []
