"""A CSV on its way to the server: read in pieces as it is sent, never held whole."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

OnProgress = Callable[[int, int], None]
"""Is told how many bytes of how many were read for sending. Starts again from 0 when the upload has to."""

Csv = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the content, or an open binary file that can seek."""


class Upload(io.RawIOBase):
    """A file that counts what is read from it."""

    def __init__(self, file: BinaryIO, on_progress: OnProgress | None = None) -> None:
        super().__init__()
        self._file = file
        self._on_progress = on_progress
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        if self._on_progress and piece:
            self._on_progress(self._file.tell(), self._size)
        return piece

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def opened(csv: Csv, on_progress: OnProgress | None, name: str | None) -> Iterator[tuple[str, Upload, str]]:
    """The file part of a form: name, content, type. Raises OSError if the path cannot be opened."""
    if isinstance(csv, bytes):
        yield name or "batch.csv", Upload(io.BytesIO(csv), on_progress), "text/csv"
    elif isinstance(csv, (str, os.PathLike)):
        path = Path(csv)
        with path.open("rb") as file:
            yield name or path.name, Upload(file, on_progress), "text/csv"
    else:
        yield name or "batch.csv", Upload(csv, on_progress), "text/csv"
