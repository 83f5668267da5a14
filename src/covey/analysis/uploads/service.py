"""The life of an upload in parts: it is begun, chunks come and are reported, and then they are one file and an asset.

After 24 hours an upload that is not complete leaves nothing; that it expired is shown for another day.
"""

import asyncio
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

import structlog

from covey.analysis.uploads.parts import (
    ACTIVE,
    ADDRESS_LIFE,
    CHUNK_BYTES,
    COMPLETED,
    EXPIRED,
    LIFE,
    Damaged,
    Multiparts,
    PartUpload,
    Reported,
)
from covey.disk import free_bytes
from covey.domain.asset import Asset
from covey.domain.clock import Clock
from covey.domain.errors import BadRequest, CoveyError, Forbidden, NotFound, TooMany
from covey.domain.run import Json

log = structlog.get_logger(__name__)

ACTIVE_UPLOADS = 100
"""So many a workspace may have on the way at once."""

HELD = 1024 * 1024
"""So many bytes of a chunk are collected before they are written."""

SWEEP_EVERY = timedelta(minutes=1)
INVALID = "parameter_invalid"
DAMAGED = "chunks_damaged"
ENDED = {
    COMPLETED: "the upload is complete already",
    EXPIRED: "the upload has expired; begin a new one",
    "failed": "the upload has failed; begin a new one",
}


class Taker(Protocol):
    """What an upload needs of the intake of assets."""

    async def await_parts(self, ident: str, workspace: str, name: str, kind: str, size: int, notes: Json) -> Asset:
        """The row of an asset whose bytes are yet to come."""
        ...

    async def take_parts(self, asset: Asset, whole: Path) -> None:
        """Give an asset its bytes, and look at it. `whole` is gone then."""
        ...

    async def expected(self, workspace: str, asset: str) -> Asset | None:
        """The asset while it has no bytes; None once it has. Raises NotFound."""
        ...

    async def withdraw_parts(self, workspace: str, asset: str) -> None:
        """Take back an asset whose bytes will not come."""
        ...

    def spooled(self) -> Path:
        """A new name in the spool."""
        ...


@dataclass(frozen=True, slots=True)
class ChunkProof:
    """What a sender says of a chunk: its number, the ETag it was answered, its bytes."""

    index: int
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """What a report came to: chunks that are new, chunks that were known, and how it stands."""

    processed: int
    duplicates: int
    upload: PartUpload


class PartUploads:
    """Uploads in parts, of the server that this process is."""

    def __init__(self, taker: Taker, parts: Multiparts, clock: Clock, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._taker = taker
        self.parts = parts
        self._clock = clock
        self.chunk_bytes = chunk_bytes
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[ReportOutcome]] = set()
        self._swept: datetime | None = None

    async def begin(self, ident: str, workspace: str, name: str, kind: str, size: int, notes: Json) -> PartUpload:
        """A new upload of this id, with its asset. Raises TooMany, Unavailable."""
        now = self._clock.now()
        known = await self.of(workspace)
        if sum(upload.status(now) == ACTIVE for upload in known) >= ACTIVE_UPLOADS:
            said = f"The workspace has {ACTIVE_UPLOADS} uploads on the way; complete one, or delete its asset"
            raise TooMany(said, code="too_many_uploads")
        asset = await self._taker.await_parts(ident, workspace, name, kind, size, notes)
        try:
            with free_bytes():
                return await asyncio.to_thread(self.parts.begin, asset, size, self.chunk_bytes)
        except BaseException:
            self.parts.forget(asset.id)
            await self._taker.withdraw_parts(workspace, asset.id)
            raise

    async def get(self, workspace: str, ident: str) -> PartUpload:
        """An upload of the workspace. Raises NotFound."""
        found = await asyncio.to_thread(self.parts.read, ident)
        if found.workspace != workspace:
            raise NotFound
        return found

    async def of(self, workspace: str) -> list[PartUpload]:
        """The uploads of a workspace that are not complete, newest first."""
        found = await asyncio.to_thread(self.parts.all)
        return [one for one in reversed(found) if one.workspace == workspace and one.state != COMPLETED]

    def address(self, upload: PartUpload, index: int) -> tuple[datetime, str]:
        """When the address of a chunk ends, a full second, and what signs it."""
        expires = min(self._clock.now() + ADDRESS_LIFE, upload.expires_at).replace(microsecond=0)
        return expires, upload.signature(index, int(expires.timestamp()))

    async def admit(self, ident: str, index: int, expires: str, signature: str) -> PartUpload:
        """The upload that a signed address leads to, ready for the chunk. Raises Forbidden, BadRequest."""
        refused = Forbidden("The address of this chunk is not valid, or has expired; ask for a new one")
        try:
            upload = await asyncio.to_thread(self.parts.read, ident)
        except NotFound:
            raise refused from None
        until = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 13 else 0
        right = hmac.compare_digest(upload.signature(index, until).encode(), signature.encode())
        if not right or not 1 <= index <= upload.chunks or self._clock.now().timestamp() >= until:
            raise refused
        self.check_active(upload)
        return upload

    async def put(self, upload: PartUpload, index: int, body: AsyncIterator[bytes]) -> str:
        """Take a chunk; its ETag. It takes the place of what was there, and is on the disk for good. Nothing is left of
        one that does not come whole. Raises BadRequest, NoRoom, NotFound."""
        length, proof = upload.length(index), hashlib.sha256()
        path, file = self.parts.part(upload)
        try:
            with free_bytes(), file:
                taken = 0
                async for piece in _pieces(body):
                    taken += len(piece)
                    if taken > length:
                        raise BadRequest(f"The chunk {index} is longer than its {length:,} bytes", code=INVALID)
                    proof.update(piece)
                    await asyncio.to_thread(file.write, piece)
                if taken < length:
                    raise BadRequest(f"The chunk {index} has {taken:,} bytes; it has to be {length:,}", code=INVALID)
                await asyncio.to_thread(os.fsync, file.fileno())
            async with self._lock(upload.id):
                self.check_active(self.parts.read(upload.id))
                self.parts.place(upload, index, proof.hexdigest(), path)
                await asyncio.to_thread(self.parts.settle, upload)
        finally:
            path.unlink(missing_ok=True)
        return proof.hexdigest()

    async def report(self, workspace: str, ident: str, proofs: Sequence[ChunkProof]) -> ReportOutcome:
        """Note chunks as done; all or none. With the last one the file is put together, also if nobody waits any
        more. Raises NotFound, BadRequest, NoRoom, Unavailable."""
        task = asyncio.create_task(self._report(workspace, ident, proofs), name=f"parts of {ident}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[ReportOutcome]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _report(self, workspace: str, ident: str, proofs: Sequence[ChunkProof]) -> ReportOutcome:
        async with self._lock(ident):
            upload = await self.get(workspace, ident)
            if upload.state != COMPLETED:
                self.check_active(upload)
            new = self._checked(upload, proofs)
            if new:
                now = self._clock.now()
                said = {**upload.reported, **{one.index: Reported(one.etag, now) for one in new}}
                upload = replace(upload, reported=said, updated_at=now)
                with free_bytes():
                    await asyncio.to_thread(self.parts.save, upload)
            if upload.state == ACTIVE and self.done(upload) == upload.chunks:
                upload = await self._join(upload)
            return ReportOutcome(len(new), len(proofs) - len(new), upload)

    def _checked(self, upload: PartUpload, proofs: Sequence[ChunkProof]) -> list[ChunkProof]:
        """The proofs that are new. Raises BadRequest."""
        held = {n: one.etag for n, one in upload.reported.items()}
        if upload.state == ACTIVE:
            held = self.parts.stored(upload)
        new: dict[int, ChunkProof] = {}
        for at, one in enumerate(proofs):
            where = f"completed_chunks.{at}"
            if not 1 <= one.index <= upload.chunks:
                raise BadRequest(f"{where}.chunk_index: it is from 1 to {upload.chunks}", code=INVALID)
            if one.size != upload.length(one.index):
                said = f"{where}.chunk_size: chunk {one.index} has {upload.length(one.index):,} bytes"
                raise BadRequest(said, code=INVALID)
            if held.get(one.index) is None:
                raise BadRequest(f"{where}: chunk {one.index} has not been uploaded", code=INVALID)
            if held[one.index] != one.etag:
                raise BadRequest(f"{where}.proof: it is not the ETag of chunk {one.index}", code=INVALID)
            known = upload.reported.get(one.index)
            if known is None or known.etag != one.etag:
                new[one.index] = one
        return list(new.values())

    def completed(self, upload: PartUpload) -> dict[int, Reported]:
        """The chunks that are here and reported; one that was uploaded anew is to be reported anew."""
        if upload.state == COMPLETED:
            return upload.reported
        held = self.parts.stored(upload)
        return {n: one for n, one in upload.reported.items() if held.get(n) == one.etag}

    def done(self, upload: PartUpload) -> int:
        """How many these are."""
        return len(self.completed(upload))

    async def _join(self, upload: PartUpload) -> PartUpload:
        """Put an upload together. What was interrupted is done again. Raises BadRequest for chunks that the disk has
        spoiled; they are to come anew."""
        asset = await self._taker.expected(upload.workspace, upload.id)
        if asset is not None:
            whole = self._taker.spooled()
            try:
                with free_bytes():
                    await asyncio.to_thread(self.parts.join, upload, whole)
                await self._taker.take_parts(asset, whole)
            except Damaged as damaged:
                await asyncio.to_thread(self.parts.drop, upload, damaged.indexes, self._clock.now())
                log.error("upload_chunks_changed", asset=upload.id, chunks=damaged.indexes)
                which = ", ".join(map(str, damaged.indexes[:20])) + ("…" if len(damaged.indexes) > 20 else "")
                said = f"completed_chunks: damaged on the server's disk: {which}; upload and report these anew"
                raise BadRequest(said, code=DAMAGED) from None
            finally:
                whole.unlink(missing_ok=True)
        return await asyncio.to_thread(self.parts.end, upload, "completed", self._clock.now())

    async def round(self) -> None:
        """Once a minute: end what expired, and what a restart interrupted when all was there."""
        now = self._clock.now()
        if self._swept is not None and now - self._swept < SWEEP_EVERY:
            return
        self._swept = now
        await asyncio.to_thread(self.parts.sweep_remains, now)
        for upload in await asyncio.to_thread(self.parts.all):
            try:
                await self._tend(upload, now)
            except NotFound:
                self.parts.forget(upload.id)
            except CoveyError as error:
                log.warning("upload_deferred", asset=upload.id, why=error.message)
                self._swept = None

    async def _tend(self, upload: PartUpload, now: datetime) -> None:
        if now >= upload.expires_at + LIFE:
            self.parts.forget(upload.id)
            return
        if upload.state != ACTIVE or (now < upload.expires_at and self.done(upload) < upload.chunks):
            return
        async with self._lock(upload.id):
            upload = self.parts.read(upload.id)
            if upload.state != ACTIVE:
                return
            if self.done(upload) == upload.chunks:
                await self._join(upload)
                return
            await self._taker.withdraw_parts(upload.workspace, upload.id)
            await asyncio.to_thread(self.parts.end, upload, "expired", now)

    async def close(self) -> None:
        """Wait for what is being put together."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def check_active(self, upload: PartUpload) -> None:
        """Raises BadRequest if an upload is over."""
        status = upload.status(self._clock.now())
        if status != ACTIVE:
            raise BadRequest(f"upload_id: {ENDED[status]}", code=f"upload_{status}")

    def _lock(self, ident: str) -> asyncio.Lock:
        lock = self._locks.get(ident)
        if lock is None:
            lock = self._locks[ident] = asyncio.Lock()
        return lock


async def _pieces(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body in pieces of about a megabyte."""
    held = bytearray()
    async for chunk in body:
        held += chunk
        if len(held) >= HELD:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
