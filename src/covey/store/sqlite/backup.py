"""Backup and restore: whole files, never a half-written one."""

import contextlib
from pathlib import Path

import apsw

from covey import private
from covey.domain.clock import Clock
from covey.store.migrate import StoreError
from covey.store.operations.counts import hots, save
from covey.store.operations.transaction import Database, micros
from covey.store.sqlite.transaction import SqliteConnection, SqliteTransaction, completed, connect, migrate
from covey.store.statements import statements

RESTORED = "restored"
"""Why a batch is paused that a backup brought back: what became of it since is not known."""


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that may be in use, page by page, to a new file. Raises StoreError if `target` is there."""
    if target.exists():
        raise StoreError(f"{target} is there already: a backup goes to a new file")
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    try:
        _copy_pages(source, part)
    except apsw.Error as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{source} cannot be copied: {error}") from error
    part.replace(target)


def _copy_pages(source: Path, target: Path) -> None:
    """Copy in one step: it sees one snapshot and holds no writer up. In several, each write would start it anew."""
    origin = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
    private.new_file(target)
    copy = apsw.Connection(str(target))
    with contextlib.closing(origin), contextlib.closing(copy), copy.backup("main", origin, "main") as backup:
        backup.step(-1)


def restore(source: Path, target: Path, clock: Clock) -> int:
    """Make `target`, a new file, of the backup `source`; how many batches came back paused.

    Batches whose runs may not be repeated are paused: since the backup they may have gone on elsewhere. Raises
    StoreError, and leaves no `target`, if the backup is damaged or newer than this code.
    """
    copy_database(source, target)
    try:
        database = connect(target, statements("sqlite"))
        with contextlib.closing(database.connection):
            _check(database, source)
            migrate(database)
            with database.connection:
                paused = completed(_pause_unended(SqliteTransaction(database, clock)))
    except (apsw.Error, StoreError) as error:
        target.unlink(missing_ok=True)
        raise StoreError(f"{source} cannot be restored: {error}") from error
    return paused


def damage(path: Path) -> str | None:
    """What is wrong with a database file, None if it is sound. Also while a server has it open."""
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        with contextlib.closing(connection):
            return _damage(connection)
    except apsw.Error as error:
        return str(error)


def _damage(connection: apsw.Connection) -> str | None:
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(10)")]
    return None if found == ["ok"] else "; ".join(found)


def _check(database: SqliteConnection, source: Path) -> None:
    wrong = _damage(database.connection)
    if wrong is not None:
        raise StoreError(f"{source} is damaged: {wrong}")


async def _pause_unended(database: Database) -> int:
    unended = [id_ for (id_,) in await database.rows("unended_unrepeatable", {})]
    batches = list((await hots(database, unended, micros(await database.now()))).values())
    for batch in batches:
        batch.row.next_at = None
        await database.write("batch_pause", {"batch": batch.row.id, "now": batch.now, "reason": RESTORED})
        batch.event("paused", None, {"reason": RESTORED})
    await save(database, batches)
    return len(batches)
