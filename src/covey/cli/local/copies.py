"""backup and restore of the database."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from covey import private
from covey.cli.exits import Exit
from covey.cli.local.folder import DATABASE, Folder, folder_of
from covey.cli.local.settings import load
from covey.cli.output import print_json, print_line, say
from covey.cli.session import confirm, leave
from covey.domain.clock import SystemClock
from covey.store.migrate import StoreError
from covey.store.sqlite import copy_database
from covey.store.sqlite import restore as restore_into
from covey.store.sqlite.lock import OwnerLock

DUMP = (
    "The database is PostgreSQL, which is copied by its own tools, also while Covey runs: "
    "(umask 077; pg_dump --format=custom --file=covey.dump --dbname=URL). Recordings are files of their own; copy them "
    "with it."
)
UNDUMP = (
    "The database is PostgreSQL, which is restored by its own tools: stop every Covey, then pg_restore --clean "
    "--if-exists --dbname=URL covey.dump, which pg_dump wrote. Batches that had not ended go on where the copy was "
    "made: whoever was called since is called again. Cancel or pause them before you name a trunk's real host again."
)


def backup(target: Path, file: Path | None, *, as_json: bool) -> None:
    """Copy the database to `target`, whole and as of one moment."""
    settings = load(file)
    if settings.database is not None:
        leave(DUMP, Exit.conflict)
    folder = folder_of(settings)
    _must_exist(folder)
    if target.is_dir():
        target = target / f"covey-{datetime.now(UTC):%Y%m%d-%H%M%S}.db"
    try:
        copy_database(folder.database, target)
    except (StoreError, OSError) as error:
        leave(f"There is no backup: {error}", Exit.failed)
    size = target.stat().st_size
    if as_json:
        print_json({"backup": str(target), "bytes": size})
    else:
        print_line(target)
    say(f"{size:,} bytes. Recordings are files in {folder.path}; copy them with it.")


def restore(source: Path, file: Path | None, *, yes: bool, as_json: bool) -> None:
    """Put the backup `source` in the place of the database, which is kept beside it."""
    settings = load(file)
    if settings.database is not None:
        leave(UNDUMP, Exit.conflict)
    folder = folder_of(settings)
    if folder.owner is not None:
        leave(f"A server runs on {folder.path} (process {folder.owner}); stop it first.", Exit.conflict)
    kept = folder.database.with_name(f"{DATABASE}.before-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    confirm(_plan(source, folder, kept if folder.database.exists() else None), yes=yes)
    private.data_folder(folder.path)
    with _owned(folder):
        there = folder.database.exists()
        paused = _swap(source, folder.database, kept if there else None)
    if as_json:
        print_json({"restored": str(source), "kept": str(kept) if there else None, "paused": paused})
    say("Restored.", "green")
    if paused:
        say(f"{paused} batches of calls had not ended; they are paused. `covey resume` lets one go on.")


def _plan(source: Path, folder: Folder, aside: Path | None) -> str:
    before = f" What is there now is kept as {aside}." if aside else ""
    return f"Put {source} ({source.stat().st_size:,} bytes) in the place of {folder.database}?{before}"


@contextmanager
def _owned(folder: Folder) -> Iterator[None]:
    """Own the database as a server does, so that none begins on it meanwhile. Ends the command if one has it."""
    lock = OwnerLock(folder.database.with_suffix(".lock"))
    try:
        asyncio.run(lock.acquire(patience=0))
    except StoreError as error:
        leave(f"Nothing was restored: {error}", Exit.conflict)
    try:
        yield
    finally:
        lock.release()


def _swap(source: Path, database: Path, aside: Path | None) -> int:
    """Put `source` in the place of `database`, which is kept as `aside` if there is one; how many batches came back
    paused. Ends the command with everything as it was if that cannot be."""
    if aside is not None:
        _set_aside(database, aside)
    try:
        return restore_into(source, database, SystemClock())
    except (StoreError, OSError) as error:
        database.unlink(missing_ok=True)
        if aside is not None:
            shutil.move(aside, database)
        leave(f"Nothing was restored: {error}", Exit.failed)


def _set_aside(database: Path, aside: Path) -> None:
    """Keep a copy with what its write-ahead log holds, or the bare file if it is past reading; then remove it."""
    try:
        copy_database(database, aside)
    except StoreError:
        private.new_file(aside)
        shutil.copyfile(database, aside)
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _must_exist(folder: Folder) -> None:
    if not folder.database.exists():
        leave(f"There is no database {folder.database}; is `data` in the settings right?", Exit.not_found)
