"""Where the server is and which key to use: from the environment, or from a file that only its owner can read.

COVEY_PROFILE                                  another file than ~/.config/covey/profile.toml
COVEY_URL, COVEY_API_KEY, COVEY_WORKSPACE      each stands above the file
COVEY_ADMIN_KEY                                so does this; only keys and workspaces need it
"""

import json
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from covey.client.errors import ProfileError

DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Profile:
    """A server's address, an API key and the workspace it belongs to; beside it, for who has one, an admin's key.
    `source` says where the key came from."""

    url: str = DEFAULT_URL
    api_key: str = field(default="", repr=False)
    workspace: str = ""
    admin_key: str = field(default="", repr=False)
    source: str = ""


def profile_path(environment: Mapping[str, str] | None = None) -> Path:
    """The file that holds the profile. Raises ProfileError if COVEY_PROFILE is set to nothing."""
    env = os.environ if environment is None else environment
    if (named := _named(env, "COVEY_PROFILE")) is not None:
        return Path(named).expanduser()
    home = env.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    return Path(home) / "covey" / "profile.toml"


def load_profile(environment: Mapping[str, str] | None = None) -> Profile:
    """The profile that holds: the environment above the file. Raises ProfileError if the file cannot be read, or if a
    variable is set to nothing: that is a mistake, and the file may hold another server's key."""
    env = os.environ if environment is None else environment
    path = profile_path(env)
    kept = _read(path)
    return Profile(
        url=_named(env, "COVEY_URL") or kept.get("url") or DEFAULT_URL,
        api_key=_named(env, "COVEY_API_KEY") or kept.get("api_key", ""),
        workspace=_named(env, "COVEY_WORKSPACE") or kept.get("workspace", ""),
        admin_key=_named(env, "COVEY_ADMIN_KEY") or kept.get("admin_key", ""),
        source="COVEY_API_KEY" if "COVEY_API_KEY" in env else str(path),
    )


def _named(env: Mapping[str, str], name: str) -> str | None:
    """What a variable is set to, None if it is not. Raises ProfileError if that is nothing."""
    value = env.get(name)
    if value is not None and not value.strip():
        raise ProfileError(f"The environment variable {name} is set, but empty: give it a value or unset it")
    return value


def save_profile(profile: Profile, path: Path | None = None) -> Path:
    """Write the profile so that only its owner can read it; where it went."""
    target = path or profile_path()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = [
        "# Written by covey. Holds an API key: keep it to yourself.",
        *(f"{name} = {json.dumps(value)}" for name, value in _kept(profile).items()),
    ]
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    fresh.replace(target)
    return target


def readable_by_others(path: Path) -> bool:
    """Whether somebody else on this machine could read the file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _kept(profile: Profile) -> dict[str, str]:
    kept = {"url": profile.url, "api_key": profile.api_key, "workspace": profile.workspace}
    return kept | ({"admin_key": profile.admin_key} if profile.admin_key else {})


def _read(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"The profile {path} cannot be read: {error}") from error
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"The profile {path} is not TOML: {error}. `covey login` writes it anew") from error
    return {name: value for name, value in found.items() if isinstance(value, str)}
