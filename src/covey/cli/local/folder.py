"""The data folder: which file is the database, and whether a server owns it now."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from covey.server.database import FILE
from covey.settings import Settings

DATABASE = FILE


@dataclass(frozen=True, slots=True)
class Folder:
    """A data folder. `owner` is the process that has its database open, None if no server runs on it."""

    path: Path
    owner: str | None

    @property
    def database(self) -> Path:
        return self.path / DATABASE


def folder_of(settings: Settings) -> Folder:
    """The data folder of these settings, as it is now."""
    path = settings.data.absolute()
    return Folder(path, owner_of((path / DATABASE).with_suffix(".lock")))


def owner_of(lock: Path) -> str | None:
    """The process that holds a lock file, None if nobody does. Looking takes the lock for a moment at most."""
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(handle)
    return None


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it is right, what was seen, and what would make it right. A `warning` is
    no fault, but somebody should know."""

    check: str
    ok: bool
    seen: str
    remedy: str = ""
    warning: bool = False
