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
    rf"[Cc]ontracts?(?:/(\w+)\.md`?,?|\s(twelvelabs|trillet))?\s(?:sections?\s)?"
    rf"({SECTION}(?:(?:,?\s(?:to\s|and\s|with\s)?)\s*{SECTION})*)"
)
OF_VIDEOS = ("api/twelvelabs/", "analysis/", "client/analysis.py")
TEXTS = {".py", ".sql", ".md", ".toml", ".txt", ".json", ".yaml", ".mjs", ".service", ""}
ELSEWHERE = re.compile(r"\bdesign[.]md|(?<![\w/.])shared[/]")
"""Citations of what is not in the repository."""


def contracts() -> dict[str, list[str]]:
    """The numbers of the headings of each contract, in their order."""
    heading = re.compile(rf"^##+ ({SECTION})\.? ", re.MULTILINE)
    return {path.stem: heading.findall(path.read_text()) for path in (DOCS / "contracts").glob("*.md")}


def texts(*folders: str) -> Iterator[tuple[str, str]]:
    """(path, text) of every file in folders of the repository, but for this one."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in TEXTS and path.is_file() and path != Path(__file__).resolve():
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def expanded(numbers: str) -> Iterator[str]:
    """Every section that is meant by "3, 12.3 to 12.5 and 12.12"."""
    for first, last in re.findall(rf"({SECTION})(?:\s+to\s+({SECTION}))?", numbers):
        chapter, _, start = first.rpartition(".")
        before, _, end = (last or first).rpartition(".")
        assert chapter == before, f"{first} to {last} is no range"
        dot = "." if chapter else ""
        yield from (f"{chapter}{dot}{number}" for number in range(int(start), int(end) + 1))


def cited(path: str, text: str) -> Iterator[tuple[str, str, str]]:
    """(where, contract, section) of each citation in a file."""
    usual = "twelvelabs" if any(part in path for part in OF_VIDEOS) else "trillet"
    for match in CONTRACT.finditer(text):
        for section in expanded(match[3]):
            yield f"{path}:{line_of(text, match.start())}", match[1] or match[2] or usual, section


@pytest.mark.parametrize(
    ("path", "text", "meant"),
    [
        ("src/covey/calls/call.py", "as promised (contract 12.6).", "trillet 12.6"),
        ("src/covey/client/analysis.py", "contract section 10.1", "twelvelabs 10.1"),
        ("src/covey/calls/call.py", "see `docs/contracts/twelvelabs.md` sections 3 and 9.2", "twelvelabs 3 9.2"),
        ("src/covey/analysis/runner.py", "contract trillet 9", "trillet 9"),
        (
            "tests/api/test_calls.py",
            "contract sections 3 to 5, 8, 12.9 to\n    12.11 with 13",
            "trillet 3 4 5 8 12.9 12.10 12.11 13",
        ),
        ("src/covey/calls/call.py", "the contract of 3 calls; a contract, 4 calls", "trillet"),
    ],
)
def test_citations_of_a_contract_are_understood(path: str, text: str, meant: str) -> None:
    contract, *sections = meant.split(" ")
    assert [(name, section) for _, name, section in cited(path, text)] == [(contract, section) for section in sections]


def test_every_section_of_a_contract_that_is_cited_is_there() -> None:
    there = contracts()
    assert {name: len(numbers) - len(set(numbers)) for name, numbers in there.items()} == {
        "trillet": 0,
        "twelvelabs": 0,
    }
    found = [each for path, text in texts("src", "tests", "docs") for each in cited(path, text)]
    assert {where.partition("/")[0] for where, _, _ in found} >= {"src", "tests"}
    assert len(found) > 50
    assert [each for each in found if each[2] not in there.get(each[1], [])] == []


def test_no_text_cites_what_is_not_in_the_repository() -> None:
    folders = ("src", "tests", "docs", "tools", "benchmarks", "deploy", "examples")
    roots = ((path.name, path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("*.md")))
    everything = [*texts(*folders), *roots]
    assert len(everything) > 200
    assert [
        f"{path}:{line_of(text, match.start())}: {match[0]}"
        for path, text in everything
        if path != "tools/shape.py"  # it looks for the same
        for match in ELSEWHERE.finditer(text)
    ] == []


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
