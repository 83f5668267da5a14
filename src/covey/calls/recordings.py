"""Where recordings lie: the data folder or a bucket, by obstore, one folder a batch."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import obstore
import structlog
from obstore.store import LocalStore, ObjectStore, from_url

from covey import private
from covey.domain.clock import Clock
from covey.domain.errors import Unavailable
from covey.loop import Loop

log = structlog.get_logger(__name__)

There = Callable[[str], Awaitable[bool]]
"""Whether there is a batch of this id. Raises Unavailable."""


class Recordings:
    """Keeps, gives and removes recordings.

    Calls write into `spool`, a local folder, while they last. A finished file gets its name at once and moves to where
    it stays behind everybody's back, so that no outcome waits for a slow bucket; what a crash left is moved at the
    next start.
    """

    def __init__(self, spool: Path, url: str | None, folder: Path) -> None:
        """`url` is a bucket (`s3://bucket/prefix`, `gs://…`, `az://…`); without one recordings lie in `folder`."""
        for place in (spool,) if url else (spool, folder):
            private.folder(place)
        self.spool = spool
        self._store: ObjectStore = from_url(url) if url else LocalStore(prefix=folder)
        self._moving: set[asyncio.Task[None]] = set()
        self._left = sorted(spool.glob("*.flac"))

    def path(self, batch: str, call: str) -> Path:
        """Where the recording of a call is written while it lasts."""
        return self.spool / f"{batch}.{call}.flac"

    def keep(self, file: Path) -> str:
        """Have a finished file moved to where it stays; its name there."""
        self._start_moving(file)
        return _name(file)

    async def keep_leftovers(self, there: There) -> None:
        """Move what earlier processes left behind: finished files whose move failed, and calls that were cut off. What
        is of a batch that is not `there` any more is removed: another process may have erased it meanwhile."""
        while self._left:
            file = self._left.pop()
            try:
                wanted = await there(_batch(file))
            except Unavailable as error:
                log.error("recording_left_in_spool", file=file.name, why=error.message)
                continue
            if wanted:
                await self._start_moving(file)
            else:
                await asyncio.to_thread(file.unlink, missing_ok=True)

    def _start_moving(self, file: Path) -> asyncio.Task[None]:
        task = asyncio.create_task(self._move(file))
        self._moving.add(task)
        task.add_done_callback(self._moving.discard)
        return task

    async def _move(self, file: Path) -> None:
        try:
            await obstore.put_async(self._store, _name(file), file)
            await asyncio.to_thread(file.unlink, missing_ok=True)
        except Exception as error:
            log.error("recording_left_in_spool", file=file.name, why=type(error).__name__)

    async def close(self) -> None:
        """Wait for the files that are on their way."""
        await asyncio.gather(*self._moving, return_exceptions=True)

    async def get(self, name: str) -> bytes | None:
        """The bytes of a recording, None if it is not there any more."""
        on_its_way = await asyncio.to_thread(_read, self.spool / name.replace("/", ".", 1))
        if on_its_way is not None:
            return on_its_way
        try:
            found = await obstore.get_async(self._store, name)
        except FileNotFoundError:
            return None
        return bytes(await found.bytes_async())

    async def delete(self, names: Sequence[str]) -> None:
        """Remove recordings; those that are gone already do not matter."""
        await self.close()
        for name in names:
            await asyncio.to_thread((self.spool / name.replace("/", ".", 1)).unlink, missing_ok=True)
            try:
                await obstore.delete_async(self._store, name)
            except FileNotFoundError:
                continue

    async def forget(self, batch: str) -> None:
        """Remove all recordings of a batch, also those whose move failed: the next start would move them. What is gone
        already does not matter. Raises what keeps one from being removed; then it can be asked again."""
        own = f"{batch}."
        self._left = [file for file in self._left if not file.name.startswith(own)]
        await self.close()
        await asyncio.to_thread(_remove_all, self.spool, own)
        await self.delete(await self._names(f"{batch}/"))

    async def forget_before(self, before: datetime) -> int:
        """Remove the recordings made before a time; how many."""
        old = await self._names(None, before)
        await self.delete(old)
        return len(old)

    async def _names(self, prefix: str | None, before: datetime | None = None) -> list[str]:
        names: list[str] = []
        async for page in obstore.list(self._store, prefix=prefix):
            names += [meta["path"] for meta in page if before is None or meta["last_modified"] < before]
        return names


def _read(file: Path) -> bytes | None:
    """A recording that is still on its way."""
    try:
        return file.read_bytes()
    except OSError:
        return None


def _remove_all(folder: Path, beginning: str) -> None:
    """Remove the files of a folder whose names begin so."""
    for file in folder.iterdir():
        if file.name.startswith(beginning):
            file.unlink(missing_ok=True)


def _name(file: Path) -> str:
    """A recording's name in the store: a folder for each batch."""
    return f"{_batch(file)}/{file.name.partition('.')[2]}"


def _batch(file: Path) -> str:
    return file.name.partition(".")[0]


log = structlog.get_logger(__name__)


class RecordingRetention(Loop):
    """One round an hour."""

    name = "retention"
    seconds = 3600.0

    def __init__(self, recordings: Recordings, clock: Clock, keep: timedelta | None, there: There) -> None:
        """`keep` is how long recordings are kept (None: until they are deleted), `there` says which batches are."""
        self._recordings = recordings
        self._clock = clock
        self._keep = keep
        self._there = there

    async def round(self) -> None:
        """Remove what is old enough."""
        if self._keep is not None:
            removed = await self._recordings.forget_before(self._clock.now() - self._keep)
            if removed:
                log.info("old_recordings_removed", recordings=removed)

    async def _loop(self) -> None:
        """What lies in the spool at the start was left by a process that is gone."""
        await self._recordings.keep_leftovers(self._there)
        await super()._loop()
