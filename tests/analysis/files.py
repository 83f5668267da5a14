"""What lies on the disk."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may become larger: what is written beyond fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def on_the_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """What is brought to the disk meanwhile: the inodes of files and folders, in their order."""
    real, seen = os.fsync, list[int]()

    def fsync(handle: int) -> None:
        real(handle)
        seen.append(os.fstat(handle).st_ino)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        yield seen
