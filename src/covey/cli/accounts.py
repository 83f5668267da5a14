"""keys and workspaces: through the server with an admin's key, or, when none runs, straight on its database.

The second way is how the first admin key comes to be: stop the server, `covey keys create --role admin`.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import typer

from covey.cli import arguments
from covey.cli.exits import Exit
from covey.cli.output import JsonFlag, YesFlag, print_json, print_line, print_table, say, when
from covey.cli.session import confirm, leave, talk
from covey.client import CoveyClient, load_profile
from covey.client.accounts import AccountManager

keys = typer.Typer(help="API keys: who may do what. Needs an admin's key, or the server to be stopped.")
workspaces = typer.Typer(help="The server's tenants. Needs an admin's key, or the server to be stopped.")

T = TypeVar("T")
Json = dict[str, Any]
ROLES = ("read", "operate", "admin")


class OverHttp:
    """Through the server."""

    def __init__(self, client: CoveyClient) -> None:
        self._client = client

    async def keys(self, workspace: str | None) -> list[Json]:
        return await self._client.keys.list(workspace)

    async def create_key(self, workspace: str | None, role: str, name: str, expires: datetime | None) -> Json:
        return await self._client.keys.create(role, workspace=workspace, name=name, expires_at=expires)

    async def revoke_key(self, key: str) -> None:
        await self._client.keys.revoke(key)

    async def workspaces(self) -> list[Json]:
        return await self._client.workspaces.list()

    async def create_workspace(self, name: str) -> Json:
        return await self._client.workspaces.create(name)


def _with_accounts(work: Callable[[AccountManager], Awaitable[T]], *, as_json: bool = False) -> T:
    if load_profile().admin_key:
        return talk(lambda client: work(OverHttp(client)), as_json=as_json)
    from covey.cli.local import accounts

    return accounts.on_database(work)


@keys.command("list")
def list_keys(
    workspace: Annotated[str | None, typer.Option(help="Only those of this workspace.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the keys; their secrets are never stored."""
    found = _with_accounts(lambda accounts: accounts.keys(workspace), as_json=as_json)
    if as_json:
        print_json(found)
        return
    columns = ("id", "workspace", "role", "name", "prefix")
    moments = ("lastUsedAt", "expiresAt", "revokedAt")
    rows = ([*(key.get(name) or "" for name in columns), *(when(key.get(name)) for name in moments)] for key in found)
    print_table((*columns, *moments), rows)


@keys.command("create")
def create_key(
    workspace: Annotated[str | None, typer.Option(help="The workspace it belongs to.")] = None,
    role: Annotated[str, typer.Option(help="read, operate, or admin (the whole server).")] = "operate",
    name: Annotated[str, typer.Option(help="What it is for.")] = "key",
    expires: Annotated[
        datetime | None, typer.Option(parser=arguments.moment, metavar="TIME", help="It ends then, as +90d.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Create a key. It is shown this once."""
    if role not in ROLES:
        leave(f"--role is one of {', '.join(ROLES)}, not {role}.", Exit.usage)
    if (role == "admin") == (workspace is not None):
        leave("An admin's key belongs to no workspace, every other one to one: --workspace.", Exit.usage)
    made = _with_accounts(lambda accounts: accounts.create_key(workspace, role, name, expires), as_json=as_json)
    if as_json:
        print_json(made)
        return
    print_line(made["secret"])
    say("This is the only time it is shown. `covey login` keeps it for this user's commands.")


@keys.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="The key's id.")], yes: YesFlag = False, as_json: JsonFlag = False
) -> None:
    """Revoke a key, from the next request on."""
    confirm(f"Revoke the key {key}?", yes=yes)
    _with_accounts(lambda accounts: accounts.revoke_key(key), as_json=as_json)
    if as_json:
        print_json({"revoked": key})
    say("Revoked.")


@workspaces.command("list")
def list_workspaces(as_json: JsonFlag = False) -> None:
    """List the workspaces."""
    found = _with_accounts(lambda accounts: accounts.workspaces(), as_json=as_json)
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "name", "created"), ((each.get("id"), each.get("name"), when(each.get("createdAt"))) for each in found)
    )


@workspaces.command("create")
def create_workspace(
    name: Annotated[str, typer.Argument(help="A name for people.")], as_json: JsonFlag = False
) -> None:
    """Create a workspace."""
    made = _with_accounts(lambda accounts: accounts.create_workspace(name), as_json=as_json)
    if as_json:
        print_json(made)
    else:
        print_line(made["id"])
