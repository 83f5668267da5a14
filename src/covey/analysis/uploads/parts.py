"""Uploads in parts, as they lie on the disk of the server that was asked: what is known of each, and its chunks.

`<folder>/<asset>/` holds `upload.json` and one file a chunk, `<index>-<etag>`, so that a restart changes nothing.
Where many servers share a database, an upload belongs to the one that made it: its chunks and reports go to that one.
"""

import hashlib
import hmac
import os
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal, Self

import orjson

from covey import private
from covey.analysis.storage import synced
from covey.domain.asset import Asset
from covey.domain.errors import NotFound
from covey.domain.ids import is_id

CHUNK_BYTES = 8 * 1024**2
"""Of every chunk but the last."""

LIFE = timedelta(hours=24)
"""So long an upload may take. What is known of it is shown for as long again."""

ADDRESS_LIFE = timedelta(hours=1)
"""So long the address of a chunk may be used."""

ACTIVE, COMPLETED, FAILED, EXPIRED = "active", "completed", "failed", "expired"
Status = Literal["active", "completed", "failed", "expired"]

RECORD = "upload.json"
PART = "part-"
COPIED = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reported:
    """A chunk that its sender said is done: its proof, and when that was."""

    etag: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PartUpload:
    """What is known of an upload; its id is the asset's. `key` signs the addresses of its chunks."""

    id: str
    workspace: str
    size: int
    chunk_bytes: int
    created_at: datetime
    updated_at: datetime
    key: str
    state: Status = "active"
    reported: dict[int, Reported] = field(default_factory=dict)

    @property
    def chunks(self) -> int:
        """How many chunks there are to be."""
        return -(-self.size // self.chunk_bytes)

    @property
    def expires_at(self) -> datetime:
        """When it ends if it is not complete."""
        return self.created_at + LIFE

    def status(self, now: datetime) -> Status:
        """How it reads now; the sweep may come later than the clock."""
        return "expired" if self.state == ACTIVE and now >= self.expires_at else self.state

    def length(self, index: int) -> int:
        """The bytes of a chunk, from 1."""
        return min(self.chunk_bytes, self.size - (index - 1) * self.chunk_bytes)

    def signature(self, index: int, expires: int) -> str:
        """What proves that the address of a chunk was given out by this server."""
        told = f"{self.id}/{index}/{expires}".encode()
        return hmac.new(bytes.fromhex(self.key), told, hashlib.sha256).hexdigest()

    def dump(self) -> bytes:
        """As JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_NON_STR_KEYS)

    @classmethod
    def load(cls, data: bytes) -> Self:
        """From JSON."""
        read = orjson.loads(data)
        for name in ("created_at", "updated_at"):
            read[name] = datetime.fromisoformat(read[name])
        said = read["reported"].items()
        read["reported"] = {int(n): Reported(one["etag"], datetime.fromisoformat(one["at"])) for n, one in said}
        return cls(**read)


class Damaged(Exception):
    """Chunks are not what was acknowledged; `indexes` says which."""

    def __init__(self, indexes: Sequence[int]) -> None:
        super().__init__(f"chunks {indexes}")
        self.indexes = indexes


class Multiparts:
    """The folder. Its methods touch the disk: call them in a thread where it matters."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, asset: Asset, size: int, chunk_bytes: int) -> PartUpload:
        """A new upload of an asset whose row is written."""
        now = asset.created_at
        made = PartUpload(asset.id, asset.workspace, size, chunk_bytes, now, now, secrets.token_hex(32))
        private.folder(self._folder)
        (self._folder / asset.id).mkdir(mode=private.FOLDER)
        self.save(made)
        synced(self._folder)
        return made

    def save(self, upload: PartUpload) -> None:
        """Write what is known, whole or not at all. Raises NotFound if the upload was forgotten meanwhile."""
        folder = self._folder / upload.id
        new = folder / f"{PART}{secrets.token_hex(8)}"
        try:
            with new.open("xb") as out:
                out.write(upload.dump())
                out.flush()
                os.fsync(out.fileno())
            new.replace(folder / RECORD)
            synced(folder)
        except FileNotFoundError:
            raise NotFound from None
        except BaseException:
            new.unlink(missing_ok=True)
            raise

    def read(self, ident: str) -> PartUpload:
        """An upload. Raises NotFound."""
        if not is_id(ident):
            raise NotFound
        try:
            return PartUpload.load((self._folder / ident / RECORD).read_bytes())
        except FileNotFoundError:
            raise NotFound from None

    def all(self) -> list[PartUpload]:
        """Every upload, oldest first."""
        found: list[PartUpload] = []
        if self._folder.is_dir():
            for path in sorted(self._folder.iterdir()):
                with suppress(NotFound):
                    found.append(self.read(path.name))
        return found

    def stored(self, upload: PartUpload) -> dict[int, str]:
        """The chunks that are here: their proofs by their numbers."""
        found: dict[int, str] = {}
        with suppress(FileNotFoundError):
            for path in (self._folder / upload.id).iterdir():
                number, _, etag = path.name.partition("-")
                if number.isdigit():
                    found[int(number)] = etag
        return found

    def part(self, upload: PartUpload) -> tuple[Path, BinaryIO]:
        """A file for a chunk that is on its way. Raises NotFound if the upload was forgotten meanwhile."""
        path = self._folder / upload.id / f"{PART}{secrets.token_hex(8)}"
        try:
            return path, path.open("xb", buffering=0)
        except FileNotFoundError:
            raise NotFound from None

    def place(self, upload: PartUpload, index: int, etag: str, part: Path) -> None:
        """Make a finished file, whose bytes are on the disk, the chunk, instead of the one that is there. It is there
        for good after `settle`. Raises NotFound."""
        folder = self._folder / upload.id
        try:
            part.replace(folder / f"{index}-{etag}")
        except FileNotFoundError:
            raise NotFound from None
        for old in folder.glob(f"{index}-*"):
            if old.name != f"{index}-{etag}":
                old.unlink(missing_ok=True)

    def settle(self, upload: PartUpload) -> None:
        """Have the names of the chunks on the disk. Raises NotFound."""
        try:
            synced(self._folder / upload.id)
        except FileNotFoundError:
            raise NotFound from None

    def join(self, upload: PartUpload, whole: Path) -> None:
        """Write all the chunks, one after the other, to `whole`. Raises Damaged if some are not as their proofs say."""
        folder, damaged = self._folder / upload.id, []
        with whole.open("xb") as out:
            for index in range(1, upload.chunks + 1):
                etag = upload.reported[index].etag
                if not _copied(folder / f"{index}-{etag}", out, upload.length(index), etag):
                    damaged.append(index)
        if damaged:
            raise Damaged(damaged)

    def drop(self, upload: PartUpload, indexes: Sequence[int], now: datetime) -> PartUpload:
        """Forget chunks, so that they are uploaded and reported anew."""
        left = {n: one for n, one in upload.reported.items() if n not in indexes}
        changed = replace(upload, reported=left, updated_at=now)
        self.save(changed)
        for index in indexes:
            (self._folder / upload.id / f"{index}-{upload.reported[index].etag}").unlink(missing_ok=True)
        return changed

    def end(self, upload: PartUpload, state: Status, now: datetime) -> PartUpload:
        """Write how an upload ended; its chunks go."""
        ended = replace(upload, state=state, updated_at=now)
        self.save(ended)
        for path in (self._folder / upload.id).iterdir():
            if path.name != RECORD:
                path.unlink(missing_ok=True)
        return ended

    def forget(self, ident: str) -> None:
        """Remove an upload, if there is one of this id."""
        if is_id(ident):
            shutil.rmtree(self._folder / ident, ignore_errors=True)

    def sweep_remains(self, now: datetime) -> None:
        """Remove folders that a killed server left without a record, once nobody can be at work in them."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            with suppress(OSError):
                born = datetime.fromtimestamp(path.stat().st_mtime, now.tzinfo)
                if not (path / RECORD).exists() and now - born > ADDRESS_LIFE:
                    shutil.rmtree(path, ignore_errors=True)


def _copied(chunk: Path, out: BinaryIO, length: int, etag: str) -> bool:
    """Whether a chunk was copied that is what its proof says."""
    proof = hashlib.sha256()
    with chunk.open("rb") as read:
        if os.fstat(read.fileno()).st_size != length:
            return False
        while piece := read.read(COPIED):
            proof.update(piece)
            out.write(piece)
    return proof.hexdigest() == etag
