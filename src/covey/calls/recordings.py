"""Where recordings lie: the data folder or a bucket, by obstore, one folder a batch."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import obstore
import structlog
from obstore.store import LocalStore, ObjectStore, from_url

log = structlog.get_logger(__name__)


class Recordings:
    """Keeps, gives and removes recordings. `spool` is a local folder in which calls write while they last."""

    def __init__(self, spool: Path, url: str | None, folder: Path) -> None:
        """`url` is a bucket (`s3://bucket/prefix`, `gs://…`, `az://…`); without one recordings lie in `folder`."""
        spool.mkdir(parents=True, exist_ok=True)
        self.spool = spool
        self._store: ObjectStore = from_url(url) if url else LocalStore(prefix=folder, mkdir=True)

    async def keep(self, batch: str, file: Path) -> str | None:
        """Move a finished file to where it stays; its name there, None if that failed (it stays in the spool)."""
        name = f"{batch}/{file.name}"
        try:
            await obstore.put_async(self._store, name, file)
        except Exception as error:
            log.error("a recording could not be stored", batch=batch, why=type(error).__name__)
            return None
        await asyncio.to_thread(file.unlink, missing_ok=True)
        return name

    async def get(self, name: str) -> bytes | None:
        """The bytes of a recording, None if it is not there any more."""
        try:
            found = await obstore.get_async(self._store, name)
        except FileNotFoundError:
            return None
        return bytes(await found.bytes_async())

    async def delete(self, names: Sequence[str]) -> None:
        """Remove recordings; those that are gone already do not matter."""
        for name in names:
            try:
                await obstore.delete_async(self._store, name)
            except FileNotFoundError:
                continue

    async def forget(self, batch: str) -> None:
        """Remove all recordings of a batch."""
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
