"""Documentation that is made of code says what the code says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from covey.calls.trunks.demo.behaviours import behaviours

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def test_the_demo_phones_are_documented_as_they_behave() -> None:
    page = (DOCS / "demo-phones.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and line[2].isdigit()]
    expected = [f"| {b.first:02d} to {b.last:02d} | {b.what} | `{b.end.value}` |" for b in behaviours()]
    assert rows == expected


def test_every_decision_is_numbered_once_and_short() -> None:
    decisions = sorted(path for path in (DOCS / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    assert [path.name for path in decisions if len(path.read_text().splitlines()) > 30] == []


SECTION = r"\d+(?:\.\d+)?"
CONTRACT = re.compile(
    rf"contracts?(?:/twelvelabs\.md`?,?)? (?:sections? )?({SECTION}(?:(?: to |, | and | with ){SECTION})*)"
)
OF_VIDEOS = ("api/twelvelabs/", "analysis/", "client/analysis.py")


def sections(name: str) -> set[str]:
    """The numbers of a contract's headings."""
    text = (DOCS / "contracts" / f"{name}.md").read_text()
    return set(re.findall(r"^##+ (\d+(?:\.\d+)?)\.? ", text, re.MULTILINE))


def cited() -> Iterator[tuple[str, str, str]]:
    """(where, contract, section) of each citation of a section in the code."""
    for path in sorted((ROOT / "src" / "covey").rglob("*.py")):
        text = path.read_text()
        for match in CONTRACT.finditer(text):
            of_videos = "twelvelabs.md" in match[0] or any(part in str(path) for part in OF_VIDEOS)
            for section in re.findall(SECTION, match[1]):
                where = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
                yield where, "twelvelabs" if of_videos else "trillet", section


def test_every_section_of_a_contract_that_is_cited_is_there() -> None:
    there = {name: sections(name) for name in ("trillet", "twelvelabs")}
    found = list(cited())
    assert len(found) > 50
    assert [(where, name, section) for where, name, section in found if section not in there[name]] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/glossary.md", "docs/runners.md", "AGENTS.md"])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    named = set(re.findall(r"`([\w/]+/\w+\.(?:py|sql))`", text))
    linked = {link for link in re.findall(r"\]\(([^)#:]+)", text) if not link.startswith("http")}
    assert [name for name in sorted(named) if not (ROOT / "src" / "covey" / name).exists()] == []
    assert [link for link in sorted(linked) if not ((ROOT / page).parent / link).exists()] == []


def test_a_walk_through_the_code_takes_ten_files_at_most() -> None:
    text = (DOCS / "architecture.md").read_text()
    walks = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert len(walks) == 4
    for walk in walks:
        files = set(re.findall(r"`([\w/]+/\w+\.(?:py|sql))`", walk))
        assert 0 < len(files) <= 10, (walk.splitlines()[0], sorted(files))
