"""migrate: what the database's schema lacks, and doing it."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import apsw

from covey import private
from covey.cli.exits import Exit
from covey.cli.local.folder import folder_of
from covey.cli.local.settings import load
from covey.cli.output import print_json, say
from covey.cli.session import leave
from covey.domain.clock import SystemClock
from covey.server.database import need_driver
from covey.settings import DatabaseUrl, Settings, SettingsError
from covey.store.migrate import Migration, StoreError, pending
from covey.store.sqlite import SqliteStore
from covey.store.sqlite.transaction import PACKAGE

Steps = Sequence[Migration]


def migrate(file: Path | None, *, check: bool, post: bool, as_json: bool) -> Exit:
    """Say what is to be done, and do it unless `check`; the exit code."""
    settings = load(file)
    url = settings.database_lock_url or settings.database
    try:
        due, later = _on_sqlite(settings, do=not check) if url is None else _on_postgres(url, do=not check, post=post)
    except SettingsError as error:
        leave(str(error), Exit.usage)
    except StoreError as error:
        leave(str(error), Exit.conflict)
    if as_json:
        print_json(
            {"pending" if check else "applied": [str(step) for step in due], "later": [str(one) for one in later]}
        )
    _say(due, later, check=check)
    return Exit.failed if check and due else Exit.ok


def _say(due: Steps, later: Steps, *, check: bool) -> None:
    for step in due:
        say(f"{'To be applied' if check else 'Applied'}: {step}")
    if not due:
        say("The schema is up to date.", "green")
    for step in later:
        say(f"Waits until no older Covey runs, for `covey migrate --post`: {step}", "yellow")


def _on_postgres(url: DatabaseUrl, *, do: bool, post: bool) -> tuple[Steps, Steps]:
    """What is (with `do`: was) to be done now, and what only later."""
    need_driver()
    from covey.store.postgres import schema
    from covey.store.postgres.connection import alone

    async def look() -> tuple[Steps, Steps]:
        async with alone(url.get_secret_value()) as connection:
            found = await schema.examine(connection)
        due = found.due(post=post)
        return due, [step for step in found.pending if step not in due]

    async def apply() -> tuple[Steps, Steps]:
        done = await schema.migrate(url.get_secret_value(), post=post)
        return done, (await look())[1]

    return asyncio.run(apply() if do else look())


def _on_sqlite(settings: Settings, *, do: bool) -> tuple[Steps, Steps]:
    """The same for a database in a file, whose one process may be given everything at once."""
    folder = folder_of(settings)
    found = pending(PACKAGE, _version(folder.database))
    if do and found:
        private.data_folder(folder.path)
        asyncio.run(_open(SqliteStore(folder.database, SystemClock())))
    return found, []


def _version(path: Path) -> int:
    if not path.exists():
        return 0
    try:
        with contextlib.closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            return int(connection.pragma("user_version"))
    except apsw.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


async def _open(store: SqliteStore) -> None:
    """Whoever opens a database brings it up to date."""
    await store.open()
    await store.close()
