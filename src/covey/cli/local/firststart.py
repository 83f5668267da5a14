"""What a server says when it listens, and the workspace and key that the first start of an empty database makes."""

import asyncio
import ipaddress
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from covey.api.kit.auth import make_key
from covey.cli.output import clean, say
from covey.client import Profile, profile_path, save_profile
from covey.domain.account import Role, Workspace
from covey.domain.ids import new_id
from covey.server.assembly import Server
from covey.store.migrate import StoreError
from covey.store.store import Store

KEY_FILE = "first-key.txt"


async def announce(server: Server, address: str) -> None:
    """Say where the server listens; on an empty database make the first workspace and key, and hand them over."""
    if not await server.store.workspaces():
        data = server.settings.data.absolute()
        try:
            profile = await first_account(server.store, address, server.services.clock.now, data / KEY_FILE)
        except OSError as error:
            raise StoreError(f"The first key cannot be written to {data / KEY_FILE}: {error.strerror}") from error
        if profile is None:
            say("Another server found this database empty too and made its first workspace; the key is with that one.")
        else:
            _hand_over(profile, data)
    if not _is_loopback(server.settings.host):
        say("It can be reached from other machines: put something with TLS in front of it.", "yellow")
    say(f"Covey listens at {address}; Ctrl-C ends it.")


async def first_account(
    store: Store, address: str, now: Callable[[], datetime], file: Path | None = None
) -> Profile | None:
    """A workspace and a key of it; the key is in the answer, and in `file` before the database has it. None if another
    server made the first workspace meanwhile. After a failure the next start begins anew, and writes over `file`."""
    workspace = Workspace(new_id(now()), "first", now())
    key, secret = make_key(workspace.id, Role.operate, "first", now())
    profile = Profile(address, secret, workspace.id)
    if file is not None:
        _write_private(file, _lines(profile))
    if await store.add_first(workspace, key):
        return profile
    if file is not None:
        await asyncio.to_thread(file.unlink)
    return None


def _hand_over(profile: Profile, data: Path) -> None:
    """Show the key on a terminal, else leave it in its file; and write the profile if that can be."""
    if sys.stderr.isatty():
        say(f"This is its first start. A workspace and its key, shown this once:\n{_lines(profile)}")
        with suppress(OSError):
            (data / KEY_FILE).unlink()
    else:
        say(f"This is its first start. A workspace and its key are in {data / KEY_FILE}.")
    _keep_profile(profile, data)


def _keep_profile(profile: Profile, data: Path) -> None:
    """Write the profile, but never over another one. A home that cannot be written costs one line, not the server."""
    try:
        target = profile_path()
        path = save_profile(profile, data / "profile.toml" if target.exists() else target)
    except (OSError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        say(f"No profile is kept for this user's commands ({why}); `covey login` writes one.", "yellow")
        return
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
    """Write a file that only its owner can read, whole and on disk, or raise OSError."""
    fresh = path.with_suffix(".part")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
