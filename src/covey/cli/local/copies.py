"""backup and restore of the database."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from covey.cli.exits import Exit
from covey.cli.local.folder import DATABASE, Folder, folder_of
from covey.cli.local.settings import load
from covey.cli.output import put, say
from covey.cli.session import confirm, leave
from covey.domain.clock import SystemClock
from covey.store.migrate import StoreError
from covey.store.sqlite import copy_database
from covey.store.sqlite import restore as restore_into


def backup(target: Path, file: Path | None) -> None:
    """Copy the database to `target`, whole and as of one moment."""
    folder = folder_of(load(file))
    _must_exist(folder)
    if target.is_dir():
        target = target / f"covey-{datetime.now(UTC):%Y%m%d-%H%M%S}.db"
    try:
        copy_database(folder.database, target)
    except (StoreError, OSError) as error:
        leave(f"There is no backup: {error}", Exit.failed)
    target.chmod(0o600)
    put(target)
    say(f"{target.stat().st_size:,} bytes. Recordings are files in {folder.path}; copy them with it.")


def restore(source: Path, file: Path | None, *, yes: bool) -> None:
    """Put the backup `source` in the place of the database, which is kept beside it."""
    folder = folder_of(load(file))
    if folder.owner is not None:
        leave(f"A server runs on {folder.path} (process {folder.owner}); stop it first.", Exit.conflict)
    kept = folder.database.with_name(f"{DATABASE}.before-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    there = folder.database.exists()
    confirm(_plan(source, folder, kept if there else None), yes=yes)
    folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if there:
        _set_aside(folder.database, kept)
    try:
        paused = restore_into(source, folder.database, SystemClock())
    except (StoreError, OSError) as error:
        folder.database.unlink(missing_ok=True)
        if there:
            shutil.move(kept, folder.database)
        leave(f"Nothing was restored: {error}", Exit.failed)
    say("Restored.", "green")
    if paused:
        say(f"{paused} batches of calls had not ended; they are paused. `covey resume` lets one go on.")


def _plan(source: Path, folder: Folder, kept: Path | None) -> str:
    before = f" What is there now is kept as {kept}." if kept else ""
    return f"Put {source} ({source.stat().st_size:,} bytes) in the place of {folder.database}?{before}"


def _set_aside(database: Path, kept: Path) -> None:
    """Keep a copy with what its write-ahead log holds, or the bare file if it is past reading; then remove it."""
    try:
        copy_database(database, kept)
    except StoreError:
        shutil.copyfile(database, kept)
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _must_exist(folder: Folder) -> None:
    if not folder.database.exists():
        leave(f"There is no database {folder.database}; is `data` in the settings right?", Exit.not_found)
