"""The SQL of both databases: named statements in `sql/<topic>.sql`.

    -- name: batch_start
        one text for both databases
    -- name: live_end (postgres)
    -- name: live_end (sqlite)
        two texts, side by side, and why they differ

A text for both is written for PostgreSQL, with its casts and arrays, so that its plans are those that were tested;
`for_sqlite` makes SQLite's of it. Most pairs differ for one of three reasons: a statement about many rows takes them as
arrays on PostgreSQL and runs once a row on SQLite; PostgreSQL locks rows, and SQLite has one writer; a look-up on
PostgreSQL is written so that its plan cannot change with the statistics.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

Dialect = Literal["sqlite", "postgres"]

_NAME = re.compile(r"^-- name: (\w+)(?: \((sqlite|postgres)\))?$", re.MULTILINE)
_MEMBER = re.compile(r"= ANY\(%\((\w+)\)s::\w+\[\]\)")
_PARAMETER = re.compile(r"%\((\w+)\)s")
_CAST = re.compile(r"::(?:double precision|\w+)(?:\[\])?")
_LITERALS = {"''::bytea": "x''", "'{}'::json": "x'7b7d'"}


@cache
def statements(dialect: Dialect) -> Mapping[str, str]:
    """The statements of a database by name, without their comments. Raises ValueError if one is there twice."""
    found: dict[str, str] = {}
    for topic in files("covey.store").joinpath("sql").iterdir():
        _, *parts = _NAME.split(topic.read_text(encoding="utf-8"))
        for name, only, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            if only in (None, dialect):
                if name in found:
                    raise ValueError(f"{topic.name}: the statement {name} is there twice for {dialect}")
                body = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
                found[name] = for_sqlite(body) if only is None and dialect == "sqlite" else body
    return found


def for_sqlite(sql: str) -> str:
    """SQLite's text of a statement that is written for PostgreSQL: parameters by name, arrays as JSON, no casts."""
    for postgres, sqlite in _LITERALS.items():
        sql = sql.replace(postgres, sqlite)
    sql = _MEMBER.sub(r"IN (SELECT value FROM json_each(:\1))", sql)
    return _PARAMETER.sub(r":\1", _CAST.sub("", sql))
