"""login: which key this user's commands use."""

import sys
from typing import Annotated

import typer

from covey.cli.exits import Exit
from covey.cli.output import JsonFlag, print_json, say
from covey.cli.session import leave, talk
from covey.client import CoveyClient, Profile, load_profile, profile_path, save_profile


def login(
    url: Annotated[str | None, typer.Option(help="The server's address.")] = None,
    workspace: Annotated[str | None, typer.Option(help="The workspace the key belongs to.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Keep the key of role admin, beside the other.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Try a key and keep it in the profile. The key is asked for, or read from stdin if that is a pipe."""
    now = load_profile()
    address, key = url or now.url, _ask_key()
    if admin:
        fresh = Profile(address, now.api_key, now.workspace, admin_key=key)
    else:
        fresh = Profile(address, key, workspace or now.workspace or _ask_workspace(), admin_key=now.admin_key)

    async def work(client: CoveyClient) -> None:
        await (client.workspaces.list() if admin else client.batches.page(1, 1))

    talk(work, as_json=as_json, profile=fresh)
    try:
        path = save_profile(fresh, profile_path())
    except OSError as error:
        leave(f"The key works, but the profile {profile_path()} cannot be written: {error.strerror}", Exit.failed)
    if as_json:
        print_json({"profile": str(path), "url": fresh.url, "workspace": fresh.workspace})
    say(f"The key works. It is kept in {path}.", "green")


def _ask_key() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("API key", hide_input=True, err=True)).strip()
    key = sys.stdin.readline().strip()
    if not key:
        leave("There is no key on stdin.", Exit.usage)
    return key


def _ask_workspace() -> str:
    if not sys.stdin.isatty():
        leave("Say which workspace the key belongs to: --workspace.", Exit.usage)
    return str(typer.prompt("Workspace", err=True)).strip()
