"""The types of rows, beside the columns that both databases give."""

import re
from pathlib import Path
from typing import Any, get_type_hints

import apsw
import psycopg
import pytest

from covey.store.operations import rows
from covey.store.sqlite import SqliteStore
from covey.store.statements import statements

from ..conformance.databases import template
from ..postgres_server import session_server

STATEMENTS = {
    name: (kind, f"{name}$" if "…" not in name else name.replace("…", r"\w+$"))
    for kind in vars(rows).values()
    if isinstance(kind, type) and kind.__module__ == rows.__name__
    for name in re.findall(r"`([a-z_…]+)`", (kind.__doc__ or "").partition(":")[0])
}
"""Every statement that the docstring of a type names before its colon, with the type."""

ALSO = {"items_by_ref": {"batch", "stopped_at"}, "batches_page_…": {"after", "at"}}
"""Columns that a statement gives besides those of its type."""


def names(pattern: str, known: object) -> list[str]:
    return [name for name in known if re.match(pattern, name)]  # type: ignore[attr-defined]


def columns_on_sqlite(path: Path, sql: str) -> set[str]:
    found: set[str] = set()
    cursor = apsw.Connection(str(path)).cursor()

    def described(cursor: apsw.Cursor, *_: Any) -> bool:
        found.update(column[0] for column in cursor.get_description())
        return False

    cursor.exec_trace = described
    with pytest.raises(apsw.ExecTraceAbort):
        cursor.execute(sql, dict.fromkeys(re.findall(r"(?<![:\w]):(\w+)", sql)))
    return found


def columns_on_postgresql(url: str, sql: str) -> set[str]:
    with psycopg.connect(url) as connection, connection.transaction(force_rollback=True):
        cursor = connection.execute(sql, dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
        return {column.name for column in cursor.description or ()}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_type_has_the_columns_of_its_statements_on_sqlite(
    name: str, sqlite: SqliteStore, tmp_path: Path
) -> None:
    kind, pattern = STATEMENTS[name]
    for each in (found := names(pattern, sql := statements("sqlite"))):
        assert columns_on_sqlite(tmp_path / "covey.db", sql[each]) - ALSO.get(name, set()) == set(get_type_hints(kind))
    assert found


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_type_has_the_columns_of_its_statements_on_postgresql(name: str) -> None:
    kind, pattern = STATEMENTS[name]
    url = session_server().url(await template())
    for each in names(pattern, sql := statements("postgres")):
        assert columns_on_postgresql(url, sql[each]) - ALSO.get(name, set()) == set(get_type_hints(kind))
