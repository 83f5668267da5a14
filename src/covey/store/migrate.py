"""Migrations: SQL files beside each store, applied in order, each in a transaction of its own.

`NNNN_what.sql` is a *pre* migration: the Covey that ran before can work with what it makes, so it is applied when the
new one starts. `NNNN_what.post.sql` is a *post* migration: it takes away what only an older Covey needs, so it is
applied when none of those is alive any more. Both stores have the same numbers. A SQLite database has one process, so
there both kinds are applied at its start.
"""

from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files


class StoreError(Exception):
    """The database cannot be used as it is; the text says why and what to do."""


class Stage(StrEnum):
    """When a migration may be applied: beside older processes, or after the last of them."""

    pre = "pre"
    post = "post"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    stage: Stage
    sql: str

    def __str__(self) -> str:
        return f"{self.number:04} {self.name} ({self.stage})"


def migrations(package: str) -> list[Migration]:
    """The migrations of a store's package, in order, numbered 1 … n without gaps."""
    found = []
    for file in sorted(files(package).joinpath("migrations").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            stage = Stage.post if name.endswith(".post") else Stage.pre
            found.append(Migration(int(number), name.removesuffix(".post"), stage, file.read_text()))
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise StoreError(f"the migrations of {package} are not numbered 1 … {len(found)}")
    return found


def pending(package: str, version: int) -> list[Migration]:
    """The migrations that a database at `version` lacks. Raises StoreError if it is newer than this code."""
    known = migrations(package)
    if version > len(known):
        raise StoreError(
            f"the database has schema {version}, this Covey knows only up to {len(known)}: "
            "run the newer Covey that made it, or restore a backup from before"
        )
    return known[version:]
