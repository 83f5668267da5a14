"""Where the bytes of assets lie: the data folder or a bucket, by obstore; beside each, what was read from it."""

import asyncio
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import obstore
import structlog
from obstore.store import LocalStore, ObjectStore, from_url

from covey import private
from covey.disk import free_bytes
from covey.domain.errors import CoveyError
from covey.domain.ids import is_id

log = structlog.get_logger(__name__)

FACTS = ".facts"
PIECE = 8 * 1024 * 1024
"""Bytes that are on their way to or from a bucket in one piece."""

AT_ONCE = 4
"""Pieces of one file on their way at once."""

LOCK = "lock"


class FilesUnavailable(CoveyError):
    """The place where assets lie cannot be reached now; asking again later is safe."""

    status = 503
    code = "storage_unavailable"


@dataclass(slots=True)
class _Copy:
    """A temporary file with an asset's bytes, and how many use it."""

    file: Path
    task: asyncio.Task[None]
    users: int = 0


class AssetFiles:
    """Keeps, lends and removes the bytes of assets.

    `spool` has a folder for each process that lives; what a dead one left in its own is removed at the next start.
    """

    def __init__(self, url: str | None, folder: Path, spool: Path, retries: int = 3) -> None:
        """`url` is a bucket (`s3://bucket/prefix`, `gs://…`, `az://…`), asked again so many times where it does not
        answer; without one assets lie in `folder`."""
        self._folder = None if url else folder
        if not url:
            private.folder(folder)
        self._store: ObjectStore = (
            from_url(url, retry_config={"max_retries": retries}) if url else LocalStore(prefix=folder)
        )
        self._copies: dict[str, _Copy] = {}
        _sweep(spool)
        self.spool = spool / secrets.token_hex(8)
        self.spool.mkdir(mode=private.FOLDER)
        self._lock = _locked(self.spool)

    def spooled(self) -> Path:
        """A new name in the spool, for a file that is being made."""
        return self.spool / secrets.token_hex(8)

    def close(self) -> None:
        """Remove the spool of this process. Nothing may be in use any more."""
        shutil.rmtree(self.spool, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def keep(self, asset: str, file: Path) -> None:
        """Make a finished file the asset's bytes; `file` is gone then. Raises NoRoom, FilesUnavailable."""
        if self._folder is not None:
            with free_bytes():
                await asyncio.to_thread(_move, file, self._folder / asset)
            return
        with _reached():
            await obstore.put_async(
                self._store, asset, file, use_multipart=True, chunk_size=PIECE, max_concurrency=AT_ONCE
            )
        await asyncio.to_thread(file.unlink, missing_ok=True)

    async def has(self, asset: str) -> bool:
        """Whether the asset's bytes are here."""
        try:
            with _reached():
                await obstore.head_async(self._store, asset)
        except FileNotFoundError:
            return False
        return True

    @asynccontextmanager
    async def local(self, asset: str) -> AsyncIterator[Path]:
        """A file on this machine with the asset's bytes, as long as the context lasts.

        It is the asset itself where assets lie here, else a copy that everybody shares who asks meanwhile. Raises
        FileNotFoundError, NoRoom, FilesUnavailable.
        """
        if not is_id(asset):
            raise FileNotFoundError(asset)
        if self._folder is not None:
            file = self._folder / asset
            await asyncio.to_thread(file.stat)
            yield file
            return
        copy = self._copies.get(asset)
        if copy is None:
            file = self.spooled()
            copy = self._copies[asset] = _Copy(file, asyncio.create_task(self._download(asset, file)))
        copy.users += 1
        try:
            await asyncio.shield(copy.task)
            yield copy.file
        finally:
            copy.users -= 1
            if not copy.users:
                self._copies.pop(asset, None)
                copy.task.cancel()
                await asyncio.gather(copy.task, return_exceptions=True)
                copy.file.unlink(missing_ok=True)

    async def _download(self, asset: str, file: Path) -> None:
        with _reached():
            found = await obstore.get_async(self._store, asset)
            with free_bytes(), await asyncio.to_thread(file.open, "xb") as out:
                async for piece in found.stream(min_chunk_size=PIECE):
                    await asyncio.to_thread(out.write, piece)

    async def facts(self, asset: str) -> bytes | None:
        """What was kept of the asset's facts; None if nothing was."""
        try:
            with _reached():
                found = await obstore.get_async(self._store, asset + FACTS)
                return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None

    async def keep_facts(self, asset: str, facts: bytes) -> None:
        """Keep the asset's facts, unless it was deleted meanwhile."""
        with _reached():
            await obstore.put_async(self._store, asset + FACTS, facts)
        if not await self.has(asset):
            await self._remove(asset + FACTS)

    async def delete(self, asset: str) -> None:
        """Remove the asset's bytes and facts; what is gone already does not matter. Raises FilesUnavailable."""
        await self._remove(asset)
        await self._remove(asset + FACTS)

    async def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError), _reached():
            await obstore.delete_async(self._store, name)


@contextmanager
def _reached() -> Iterator[None]:
    """Whatever a bucket's library says of its network is one thing to us."""
    try:
        yield
    except (CoveyError, FileNotFoundError, asyncio.CancelledError):
        raise
    except Exception as error:
        log.error("asset_storage_unreachable", why=type(error).__name__)
        raise FilesUnavailable from error


def synced(path: Path) -> None:
    """Have what was written to a file, or the names in a folder, on the disk: no loss of power takes it back."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _move(file: Path, to: Path) -> None:
    """Give a file its place in one step, on another disk by a copy that gets its name when it is whole; on the disk for
    good when this returns."""
    try:
        synced(file)
        file.replace(to)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = to.with_name(f"{to.name}.part")
        try:
            shutil.copyfile(file, part)
            synced(part)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)
        file.unlink()
    synced(to.parent)


def _locked(folder: Path) -> int | None:
    """A lock on a process's folder, held while the process lives; None if another one holds it."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _sweep(spool: Path) -> None:
    """Remove the folders of processes that are gone."""
    private.folder(spool)
    for folder in spool.iterdir():
        with suppress(OSError):
            lock = _locked(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
