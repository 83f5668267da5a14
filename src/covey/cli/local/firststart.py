"""What a server says when it listens, and the workspace and key that the first start of an empty database makes."""

import ipaddress
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from covey.api.keys import make_key
from covey.cli.output import clean, say
from covey.client import Profile, profile_path, save_profile
from covey.domain.account import Role, Workspace
from covey.domain.ids import new_id
from covey.server import Server
from covey.store.ports import Store

KEY_FILE = "first-key.txt"


async def announce(server: Server, address: str) -> None:
    """Say where the server listens; on an empty database make the first workspace and key, and hand them over."""
    if not await server.store.workspaces():
        profile = await first_account(server.store, address, server.services.clock.now)
        _hand_over(profile, server.settings.data.absolute())
    if not _is_loopback(server.settings.host):
        say("It can be reached from other machines: put something with TLS in front of it.", "yellow")
    say(f"Covey listens at {address}; Ctrl-C ends it.")


async def first_account(store: Store, address: str, now: Callable[[], datetime]) -> Profile:
    """A workspace and a key of it; the key is in the answer and kept by nobody."""
    workspace = Workspace(new_id(now()), "first", now())
    key, secret = make_key(workspace.id, Role.operate, "first", now())
    await store.add_workspace(workspace)
    await store.add_key(key)
    return Profile(address, secret, workspace.id)


def _hand_over(profile: Profile, data: Path) -> None:
    """Show the key on a terminal, else put it into a file; and write the profile, but never over another one."""
    target = profile_path()
    path = save_profile(profile, data / "profile.toml" if target.exists() else target)
    if sys.stderr.isatty():
        say(f"This is its first start. A workspace and its key, shown this once:\n{_lines(profile)}")
    else:
        _write_private(data / KEY_FILE, _lines(profile))
        say(f"This is its first start. A workspace and its key are in {data / KEY_FILE}.")
    if path == target:
        say(f"This user's commands have them already, in {path}: try `covey list`.")
    else:
        say(f"{clean(target)} belongs to another server, so they are in {path}: export COVEY_PROFILE={path}")


def _lines(profile: Profile) -> str:
    return (
        f"  export COVEY_URL={profile.url}\n"
        f"  export COVEY_WORKSPACE={profile.workspace}\n"
        f"  export COVEY_API_KEY={profile.api_key}\n"
        f'  curl -H "x-api-key: $COVEY_API_KEY" -H "x-workspace-id: $COVEY_WORKSPACE" '
        f"$COVEY_URL/v1/api/batch-calls"
    )


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
