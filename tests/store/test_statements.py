"""The statements of both databases: the same names, the same parameters, in the order that the operations rely on."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from covey.store.statements import for_sqlite, statements

STORE = Path(__file__).parents[2] / "src" / "covey" / "store"

OF_EACH_DATABASE = re.compile(
    r"(lock|lives|schema|begin|doctor)_.*|alone|commit|now|notify|items_(copy|new)|worker_(new|dead)|workers_to_settle"
)
"""What only one database has, or has in its own way: locks, hints and transactions, who is alive, the list of the
migrations, and how very many new items are written."""

EACH = {"many", "each", "each_named"}
"""The methods that take a row of parameters at a time: on PostgreSQL, an array for each parameter."""


def in_order(pattern: str, sql: str) -> list[str]:
    """What a pattern finds, each once, in the order of its first appearance."""
    return list(dict.fromkeys(re.findall(pattern, sql)))


POSTGRES_SQL = statements("postgres")
POSTGRES = {name: in_order(r"%\((\w+)\)s", sql) for name, sql in POSTGRES_SQL.items()}
SQLITE = {name: in_order(r"(?<![:\w]):(\w+)", sql) for name, sql in statements("sqlite").items()}
TYPED = r"%\((\w+)\)s((?:::(?:double precision|\w+)(?:\[\])?)?)"

SHARED = sorted(name for name in SQLITE.keys() & POSTGRES.keys() if not OF_EACH_DATABASE.fullmatch(name))


def statements_taken_row_by_row() -> Iterator[str]:
    """The names that operations give to the methods of EACH."""
    for file in sorted((STORE / "operations").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in EACH:
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{file.name}:{node.lineno}: which statement?"
                yield str(name.value)


ROW_BY_ROW = sorted(set(statements_taken_row_by_row()))


def casts(name: str) -> dict[str, set[str]]:
    """The types that PostgreSQL's statement gives its parameters; "" where it gives none."""
    found: dict[str, set[str]] = {}
    for param, type_ in re.findall(TYPED, POSTGRES_SQL[name]):
        found.setdefault(param, set()).add(type_)
    return found


def test_there_is_something_to_compare() -> None:
    assert len(SHARED) > 100
    assert {"counts_move", "live_new", "run_new", "event_new"} <= set(ROW_BY_ROW)


def test_both_databases_have_the_same_statements() -> None:
    alone = [name for name in SQLITE.keys() ^ POSTGRES.keys() if not OF_EACH_DATABASE.fullmatch(name)]
    assert alone == []


@pytest.mark.parametrize("name", SHARED)
def test_a_statement_has_the_same_parameters_in_both(name: str) -> None:
    assert sorted(POSTGRES[name]) == sorted(SQLITE[name])


@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_rows_of_parameters_mean_the_same_in_both(name: str) -> None:
    assert POSTGRES[name] == SQLITE[name]


@pytest.mark.parametrize("name", sorted(POSTGRES))
def test_every_parameter_of_postgresql_has_one_type(name: str) -> None:
    """Without one the server guesses, and guesses otherwise for a NULL, or for an array of them."""
    assert {param: types for param, types in casts(name).items() if len(types) != 1 or "" in types} == {}


@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_rows_of_parameters_are_arrays_in_postgresql(name: str) -> None:
    assert [param for param, types in casts(name).items() if not all(type_.endswith("[]") for type_ in types)] == []


TOPICS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((STORE / "sql").glob("*.sql"))}
PARTS = re.compile(r"^-- name: (\w+)(?: \((\w+)\))?\n((?:--.*\n)*)((?:(?!-- name:).*\n)*)", re.MULTILINE)


def squeezed(sql: str) -> str:
    """A statement without line breaks and indentation."""
    return re.sub(r"\s+", " ", sql).strip()


@pytest.mark.parametrize("topic", TOPICS)
def test_every_statement_says_what_it_is_for_and_every_pair_why_it_differs(topic: str) -> None:
    parts = [match.groups() for match in PARTS.finditer(TOPICS[topic])]
    assert TOPICS[topic].startswith("-- name: ")
    first: dict[str, str] = {}
    for name, only, comment, _ in parts:
        purpose = first.setdefault(name, comment)
        assert re.match(r"-- \w+\s+\w+", purpose), f"{name}: what is it for?"
        assert (name, "-- Differs: " in comment) == (name, purpose is not comment), (
            f"{name} ({only}): why does it differ?"
        )


@pytest.mark.parametrize("topic", TOPICS)
def test_no_statement_is_written_twice(topic: str) -> None:
    texts: dict[str, dict[str, str]] = {}
    for name, only, _, sql in (match.groups() for match in PARTS.finditer(TOPICS[topic])):
        texts.setdefault(name, {})[only or ""] = sql
    pairs = {name: both for name, both in texts.items() if both.keys() == {"postgres", "sqlite"}}
    assert [
        name for name, both in pairs.items() if squeezed(for_sqlite(both["postgres"])) == squeezed(both["sqlite"])
    ] == []
