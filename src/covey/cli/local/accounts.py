"""keys and workspaces straight on the database, while no server owns it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from covey import private
from covey.api.covey.admin import key_out, workspace_out
from covey.api.kit.auth import make_key
from covey.cli.exits import Exit
from covey.cli.local.folder import folder_of
from covey.cli.local.settings import load
from covey.cli.session import leave
from covey.client.accounts import AccountManager
from covey.domain.account import Role, Workspace
from covey.domain.clock import SystemClock
from covey.domain.errors import Conflict, CoveyError, NotFound
from covey.domain.ids import new_id
from covey.server.database import make_store
from covey.settings import SettingsError
from covey.store.migrate import StoreError
from covey.store.store import Store

T = TypeVar("T")
Json = dict[str, Any]


def on_database(work: Callable[[AccountManager], Awaitable[T]]) -> T:
    """Do `work` on the database of the settings that hold. Ends the command if a server has it to itself."""
    settings = load(None)
    folder = folder_of(settings)
    if settings.database is None and folder.owner is not None:
        leave(
            f"A server runs on {folder.path} (process {folder.owner}): give an admin's key in COVEY_ADMIN_KEY or by "
            "`covey login --admin`, or stop the server.",
            Exit.refused,
        )
    private.data_folder(folder.path)
    try:
        return asyncio.run(_run(make_store(settings), work))
    except NotFound as error:
        leave(error.message, Exit.not_found)
    except Conflict as error:
        leave(error.message, Exit.conflict)
    except SettingsError as error:
        leave(str(error), Exit.usage)
    except (StoreError, CoveyError) as error:
        leave(str(error), Exit.failed)


async def _run(store: Store, work: Callable[[AccountManager], Awaitable[T]]) -> T:
    await store.open()
    try:
        return await work(OnDatabase(store))
    finally:
        await store.close()


class OnDatabase:
    """What the server's admin routes do, done here."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._clock = SystemClock()

    async def keys(self, workspace: str | None) -> list[Json]:
        return [dict(key_out(key)) for key in await self._store.keys(workspace)]

    async def create_key(self, workspace: str | None, role: str, name: str, expires: datetime | None) -> Json:
        if workspace is not None:
            await self._store.workspace(workspace)
        key, secret = make_key(workspace, Role(role), name, self._clock.now(), expires)
        await self._store.add_key(key)
        return dict(key_out(key)) | {"secret": secret}

    async def revoke_key(self, key: str) -> None:
        if not await self._store.revoke_key(key):
            leave(f"There is no key {key} that could be revoked.", Exit.not_found)

    async def workspaces(self) -> list[Json]:
        return [dict(workspace_out(each)) for each in await self._store.workspaces()]

    async def create_workspace(self, name: str) -> Json:
        now = self._clock.now()
        made = Workspace(new_id(now), name, now)
        await self._store.add_workspace(made)
        return dict(workspace_out(made))
