"""One process owns a SQLite database: by a lock file that its children share, so that a successor begins only when
all of them are gone."""

import asyncio
import fcntl
import os
import time
from pathlib import Path

from covey.store.migrate import StoreError

PATIENCE_SECONDS = 5.0


class OwnerLock:
    """The lock of a database's owner. `fd` is inherited by the processes that must end before a successor begins."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fd: int | None = None

    async def acquire(self, patience: float = PATIENCE_SECONDS) -> None:
        """Take the lock, waiting a little for a predecessor's last children. Raises StoreError with the owner."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + patience
        while not self._try(fd):
            if time.monotonic() > until:
                owner = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
                os.close(fd)
                raise StoreError(
                    f"{self._path.parent} is in use by another Covey (process {owner}): stop that one first, "
                    "or give this one a data folder of its own"
                )
            await asyncio.sleep(0.02)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self.fd = fd

    @staticmethod
    def _try(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
