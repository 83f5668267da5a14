"""The rules of this repository that no linter knows: sizes, words, where SQL lives, what the README promises."""

import ast
import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COVEY = ROOT / "src" / "covey"
MOST_LINES = 500
MOST_LINES_OF_A_FUNCTION = 60

# The engine serves any kind of run, so neither it nor what lies below it may speak of one kind.
WORDS_OF_A_KIND = re.compile(r"(?<![a-z])(phones?|videos?|sip|trunks?|dial(?!ect)\w*|callers?)(?![a-z])", re.IGNORECASE)
SQL_STATEMENT = re.compile(
    r"^\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|create\s+(table|index)\s|pragma\s)",
    re.IGNORECASE | re.DOTALL,
)


def sources(*folders: Path) -> list[Path]:
    found = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    assert found, f"no sources in {folders}"
    return found


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> Iterator[str]:
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if found := pattern.search(line):
                yield f"{where(path, number)}: {found.group()}"


def strings_in(path: Path) -> Iterator[ast.Constant]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node


def test_no_module_is_too_long() -> None:
    files = sources(ROOT / "src", ROOT / "tests")
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert [where(path, length) for path, length in lengths.items() if length > MOST_LINES] == []


def test_no_function_is_too_long() -> None:
    functions = [
        (path, node)
        for path in sources(ROOT / "src", ROOT / "tests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    too_long = [
        f"{where(path, node.lineno)}: {node.name}"
        for path, node in functions
        if (node.end_lineno or node.lineno) - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]
    assert too_long == []


@pytest.mark.parametrize("room", ["domain", "engine", "store"])
def test_the_lower_rooms_do_not_speak_of_one_kind_of_run(room: str) -> None:
    files = [*sources(COVEY / room), *sorted((COVEY / room).rglob("*.sql"))]
    assert list(lines_with(WORDS_OF_A_KIND, files)) == []


def test_sql_lives_in_the_store_only() -> None:
    outside = [path for path in sources(COVEY) if path.relative_to(COVEY).parts[0] != "store"]
    statements = [
        where(path, string.lineno)
        for path in outside
        for string in strings_in(path)
        if isinstance(string.value, str) and SQL_STATEMENT.match(string.value)
    ]
    assert statements == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_command_that_we_name_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert {"demo", "test"} <= set(named) or page != "README.md"
    assert set(named) - targets == set()


def test_packages_come_from_pypi_only() -> None:
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    hosts = set(re.findall(r'"https?://([^/"]+)', lock))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}
    assert "git+" not in lock


def test_the_pinned_uv_is_the_one_that_builds_covey() -> None:
    pin = (ROOT / "tools" / "uv.txt").read_text(encoding="utf-8")
    version = re.search(r"^uv==(\d+)\.(\d+)\.", pin, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert version is not None
    major, minor = map(int, version.groups())
    assert project["build-system"]["requires"] == [f"uv_build>={major}.{minor},<{major}.{minor + 1}"]


def test_log_messages_are_short_stable_events() -> None:
    """Whoever searches or alarms on them finds the same words in the next version; facts are keys."""
    methods = {"debug", "info", "warning", "error", "exception", "critical"}
    found = []
    for path in sources(COVEY):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in methods and ast.unparse(node.func.value) in ("log", "logger"):
                message = node.args[0]
                text = message.value if isinstance(message, ast.Constant) else None
                if not re.fullmatch(r"[a-z][a-z0-9_]*", str(text)):
                    found.append(where(path, node.lineno))
    assert found == []


def test_no_test_imports_from_a_test() -> None:
    """What two of them need lies in a module of its own."""
    imports = re.compile(r"^\s*from [\w.]*\btest_\w+ import", re.MULTILINE)
    found = [
        where(path, text.count("\n", 0, match.start()) + 1)
        for path in sources(ROOT / "tests")
        for text in [path.read_text(encoding="utf-8")]
        for match in imports.finditer(text)
    ]
    assert found == []


def test_every_guard_can_be_taken_away() -> None:
    """`make guards` takes them away and runs their tests; here only that it will find both."""
    rows = runpy.run_path(str(ROOT / "tools" / "guards.py"))["guards"]()
    assert len({row["what"] for row in rows}) == len(rows)
    for row in rows:
        assert (COVEY / row["file"]).read_text(encoding="utf-8").count(row["old"]) == 1, row["what"]
        for test in row["tests"]:
            file, _, name = test.partition("::")
            there = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert not name or f"def {name.partition('[')[0]}(" in there, test
