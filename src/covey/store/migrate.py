"""Migrations: SQL files `NNNN_what.sql` beside each store, applied in order, each in a transaction of its own."""

from dataclasses import dataclass
from importlib.resources import files


class StoreError(Exception):
    """The database cannot be used as it is; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from schema `number - 1` to `number`."""

    number: int
    name: str
    sql: str


def migrations(package: str) -> list[Migration]:
    """The migrations of a store's package, in order, numbered 1 … n without gaps."""
    found = []
    for file in sorted(files(package).joinpath("migrations").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, file.read_text()))
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
