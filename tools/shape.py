"""`make shape`: how large and how tangled the code is, beside what it was before the rebuild and what it may be.

    python tools/shape.py [--check]

With `--check` it prints only the rows that are beyond their bound, and fails if there are any.
"""

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import grimp

from covey.store.statements import for_sqlite

ROOT = Path(__file__).parents[1]
COVEY = ROOT / "src" / "covey"
SINCE = "6a1aa08"
"""The last commit before the rebuild: commit subjects are held to 72 characters from there on."""

PARTICIPLES = {"given", "asked", "said", "told", "kept", "held"}
CITED = re.compile(r"(?<![\w/])(?:docs/|src/|tests/|deploy/|tools/)[\w./-]+\.(?:md|py|sql|json|toml)\b")
UNREACHABLE = re.compile(r"\b(?:design|findings|telephony|voice)\.md|(?<![\w/.])shared/")
STATEMENT = re.compile(r"^-- name: (\w+)(?: \((sqlite|postgres)\))?$", re.MULTILINE)


def modules() -> list[Path]:
    """Every module of Covey."""
    return sorted(COVEY.rglob("*.py"))


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """Every module and its syntax."""
    for path in modules():
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def files() -> list[str]:
    """Python and SQL files."""
    return [str(path) for path in (*COVEY.rglob("*.py"), *COVEY.rglob("*.sql"))]


def sql_files() -> list[str]:
    """SQL files, migrations too."""
    return [str(path) for path in COVEY.rglob("*.sql")]


def written_twice() -> list[str]:
    """Statements whose text for SQLite is what the one for PostgreSQL would become."""
    twice = []
    for topic in sorted((COVEY / "store" / "sql").glob("*.sql")):
        _, *parts = STATEMENT.split(topic.read_text(encoding="utf-8"))
        texts: dict[str, dict[str, str]] = defaultdict(dict)
        for name, dialect, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            texts[name][dialect or "both"] = text
        for name, pair in texts.items():
            if pair.keys() == {"sqlite", "postgres"} and _plain(for_sqlite(pair["postgres"])) == _plain(pair["sqlite"]):
                twice.append(name)
    return twice


def _plain(text: str) -> str:
    return " ".join(line for line in text.split("\n") if not line.startswith("--")).strip().replace("  ", " ")


def pass_through() -> list[str]:
    """Methods of the store that only hand their arguments on to one call."""
    found = []
    for path in (COVEY / "store").rglob("store.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AsyncFunctionDef) and not node.decorator_list:
                body = [each for each in node.body if not _is_docstring(each)]
                value = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return | ast.Expr) else None
                call = value.value if isinstance(value, ast.Await) else None
                if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("self._"):
                    found.append(f"{path.relative_to(ROOT)}: {node.name}")
    return found


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def small_modules() -> list[str]:
    """Modules of 50 lines or fewer; `__init__` and `__main__` are not counted."""
    own = (path for path in modules() if not path.name.startswith("__"))
    return [str(path) for path in own if len(path.read_text(encoding="utf-8").splitlines()) <= 50]


def two_meanings() -> list[str]:
    """Public class names with more than one definition. The client's own are left out: they are meant to be the same
    words as the server's."""
    where: dict[str, set[Path]] = defaultdict(set)
    for path, tree in trees():
        if path.relative_to(COVEY).parts[0] == "client":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].add(path)
    return sorted(name for name, paths in where.items() if len(paths) > 1)


def circles() -> list[str]:
    """Modules that import each other, at whatever distance."""
    graph = grimp.build_graph("covey")
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    order: list[str] = []
    seen: set[str] = set()

    def visit(module: str, edges: dict[str, set[str]], found: list[str]) -> None:
        stack = [(module, iter(sorted(edges[module])))]
        seen.add(module)
        while stack:
            here, rest = stack[-1]
            ahead = next((each for each in rest if each not in seen), None)
            if ahead is None:
                stack.pop()
                found.append(here)
            else:
                seen.add(ahead)
                stack.append((ahead, iter(sorted(edges[ahead]))))

    for module in sorted(imports):
        if module not in seen:
            visit(module, imports, order)
    back: dict[str, set[str]] = defaultdict(set)
    for module, targets in imports.items():
        for target in targets:
            back[target].add(module)
    edges = {module: back[module] for module in imports}
    seen.clear()
    groups = []
    for module in reversed(order):
        if module not in seen:
            group: list[str] = []
            visit(module, edges, group)
            if len(group) > 1:
                groups.append(" ".join(sorted(group)))
    return groups


def between_dialects() -> list[str]:
    """Imports of one wire API by the other."""
    pattern = {"trillet": "covey.api.twelvelabs", "twelvelabs": "covey.api.trillet"}
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for name, other in pattern.items()
        for path in (COVEY / "api" / name).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if other in line
    ]


def old_words() -> list[str]:
    """Names of classes, functions and modules that were given up."""
    lines = (ROOT / "tools" / "old_words.txt").read_text(encoding="utf-8").splitlines()
    words = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    found = []
    for path, tree in trees():
        if path.stem in words:
            found.append(f"{path.relative_to(ROOT)}")
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name in words:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    return found


def participles() -> list[str]:
    """Parameters and attributes that are named by a participle, which says nothing of what they are. Keys of typed
    dictionaries are words of the wire."""
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                every = (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs)
                extra = (node.args.vararg, node.args.kwarg)
                names = [each.arg for each in (*every, *(one for one in extra if one))]
            elif isinstance(node, ast.Attribute):
                names = [node.attr.lstrip("_")]
            elif isinstance(node, ast.ClassDef) and not any(ast.unparse(base) == "TypedDict" for base in node.bases):
                fields = (each.target for each in node.body if isinstance(each, ast.AnnAssign))
                names = [each.id for each in fields if isinstance(each, ast.Name)]
            line = getattr(node, "lineno", 0)
            found += [f"{path.relative_to(ROOT)}:{line} {name}" for name in names if name in PARTICIPLES]
    return found


def lost_citations() -> list[str]:
    """Citations of files that are not in the repository."""
    found = []
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in tracked:
        path = ROOT / name
        if path.suffix in (".py", ".md", ".sql", ".toml") and path.exists() and name != "tools/shape.py":
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                lost = [each for each in CITED.findall(line) if not (ROOT / each).exists()]
                if name != "CHANGELOG.md" and (lost or UNREACHABLE.search(line)):
                    found.append(f"{name}:{number} {line.strip()[:80]}")
    return found


def long_subjects() -> list[str]:
    """Commit subjects of more than 72 characters since the rebuild began."""
    command = ["git", "log", "--format=%s", f"{SINCE}..HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # a shallow clone has none
    return [subject for subject in done.stdout.splitlines() if len(subject) > 72]


ROWS = (
    ("files in src/covey (Python and SQL)", "750", 400, files),
    ("SQL files", "391", 45, sql_files),
    ("statements written twice", "88", 0, written_twice),
    ("methods of the store that only pass their arguments on", "82", 12, pass_through),
    ("modules of 50 lines or fewer", "83", 50, small_modules),
    ("public class names with two meanings", "60", 24, two_meanings),
    ("circles between modules", "1", 0, circles),
    ("imports between the two dialects", "8", 0, between_dialects),
    ("names of tools/old_words.txt", "all", 0, old_words),
    ("parameters and attributes named by a participle", "many", 0, participles),
    ("citations of files that are not in the repository", "58", 0, lost_citations),
    ("commit subjects of more than 72 characters", "56", 0, long_subjects),
)


def main() -> None:
    """Print the table, or with `--check` what is beyond its bound."""
    check, beyond = "--check" in sys.argv, 0
    if not check:
        print(f"{'':56} {'before':>7} {'now':>5} {'bound':>6}")
    for what, before, bound, measure in ROWS:
        found = measure()
        beyond += len(found) > bound
        if not check:
            print(f"{what:56} {before:>7} {len(found):>5} {bound:>6}")
        if len(found) > bound:
            print(f"{what}: {len(found)}, at most {bound}")
            for line, times in sorted(Counter(found).items())[: 200 if bound <= 24 else 0]:
                print(f"    {line}" + (f" ({times} times)" if times > 1 else ""))
    sys.exit(1 if check and beyond else 0)


if __name__ == "__main__":
    main()
