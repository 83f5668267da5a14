"""Which diallers may have left calls open: each has an empty file in one folder as long as that is possible.

A dialler makes its file before its first dial and removes it when it leaves with all its calls ended. Of a dialler
that died its trunk removes the file, once it has ended the calls itself. So a file that is left at the next start
tells that nobody said goodbye to some phone; its number is not known, but it will hang up by itself. The file's time is
when its dialler was last alive.
"""

import contextlib
import os
import secrets
from pathlib import Path

from covey import private


def marker_of(folder: Path, pid: int) -> Path:
    """Where the dialler with this process id has its file. Every call answers another one."""
    return folder / f"{pid}-{secrets.token_hex(4)}"


def write_marker(marker: Path) -> None:
    """Make the file; it survives a power cut when this returns. Raises OSError if it cannot be made."""
    private.folder(marker.parent)
    marker.touch(mode=0o600)
    folder = os.open(marker.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove(marker: Path) -> None:
    """The dialler left no call open."""
    marker.unlink(missing_ok=True)


def touch(marker: Path) -> None:
    """The dialler is alive."""
    with contextlib.suppress(OSError):
        os.utime(marker)


def left_open(folder: Path) -> float | None:
    """When a dialler that may have left a call open was last alive (seconds since 1970), None if there is none. To be
    asked before any dialler of this life is started."""
    if not folder.is_dir():
        return None
    return max((marker.stat().st_mtime for marker in folder.iterdir()), default=None)


def clear(folder: Path) -> None:
    """Forget what was left open. To be done before any dialler of this life is started."""
    if folder.is_dir():
        for marker in folder.iterdir():
            remove(marker)
