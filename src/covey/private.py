"""What Covey writes is its owner's alone, whatever mode the folder has, and whatever umask the process started with.

Every command begins with `begin`; what is made after that, by its children and by libraries too, nobody else can
read. What an older Covey left open is closed when the data folder is taken into use, and so is the folder, unless it
holds anything else. `covey doctor` says what is open still.
"""

import os
import stat
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

FOLDER = 0o700
FILE = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO

WRITTEN = (
    "covey.db*",
    "covey.lock",
    "covey-*.db*",
    "first-key.*",
    "profile.toml",
    "secret.key*",
    "assets",
    "clips",
    "diallers",
    "phones",
    "phones.jsonl",
    "recording",
    "recordings",
    "skipped",
    "spool",
    "spool-assets",
    "uploads",
)
"""The names of what Covey writes into the data folder."""


def begin() -> None:
    """From now on this process and its children make files that only their owner can read."""
    os.umask(OTHERS)


def data_folder(path: Path) -> None:
    """Make the data folder, or take one that is there and close it to others: what Covey has in it, and the folder
    itself if there is nothing else in it. What lies in a closed folder is out of reach, so one level is enough."""
    folder(path)
    with suppress(PermissionError):  # whoever opens the database says so in a sentence
        ours = written_in(path)
        for entry in [*ours, *([path] if len(ours) == len(list(path.iterdir())) else [])]:
            _close(entry)


def _close(entry: Path) -> None:
    """Take from others what they may do with a file or folder of this user; what is a link's is somebody's choice."""
    with suppress(OSError):  # on a medium without modes; doctor tells
        found = entry.lstat()
        if found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode) and found.st_mode & OTHERS:
            entry.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)


def folder(path: Path) -> None:
    """Make a folder, and those above it that are missing; one that is there stays as it is."""
    for each in (*reversed(path.parents), path):
        if not each.exists():
            each.mkdir(mode=FOLDER, exist_ok=True)


def new_file(path: Path) -> None:
    """Make an empty file for a library that would make it with a mode of its own; one that is there stays."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE))


def write_text(path: Path, text: str) -> None:
    """Write a file, closed to others even if it was there and open. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(handle, FILE)
        file.write(text)


def open_in(path: Path) -> list[Path]:
    """What others on this machine can read or change in a data folder: itself, if they can write to it, and what Covey
    wrote, unless they cannot enter the folder."""
    mode = path.stat().st_mode
    found = [path] if mode & (stat.S_IWGRP | stat.S_IWOTH) else []
    if mode & (stat.S_IXGRP | stat.S_IXOTH):
        found += [entry for entry in written_in(path) if is_open(entry)]
    return found


def is_open(path: Path) -> bool:
    """Whether a file or folder gives anything to anybody but its owner. What is gone gives nothing."""
    with suppress(OSError):
        return bool(path.stat().st_mode & OTHERS)
    return False


def written_in(path: Path) -> list[Path]:
    """What is Covey's in a data folder."""
    return [entry for entry in sorted(path.iterdir()) if any(fnmatchcase(entry.name, pattern) for pattern in WRITTEN)]
