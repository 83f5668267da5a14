"""Looking at an asset: its bytes are fetched if need be, and what they are decides whether it can be used."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import structlog

from covey.analysis.backend import Down, Refused, TryAgain
from covey.analysis.file_types import DOCUMENT, HEAD, IMAGE, KINDS, VIDEO, FileType, kind_of
from covey.analysis.media.errors import BROKEN, Undecodable
from covey.analysis.media.errors import TOO_LARGE as RESOLUTION_TOO_HIGH
from covey.analysis.media.errors import TOO_SMALL as RESOLUTION_TOO_LOW
from covey.analysis.media.facts import Inspection
from covey.analysis.storage import AssetFiles
from covey.disk import NoRoom, free_bytes
from covey.domain.asset import Asset, AssetState
from covey.domain.errors import BadRequest, CoveyError
from covey.domain.run import Blame
from covey.fetch import Fetcher, FetchError, FetchFailed, NetworkLost
from covey.settings import Analysis

log = structlog.get_logger(__name__)

INSPECTIONS, DOWNLOADS = 2, 4
"""So many files are looked at, and fetched, at once."""

DOCUMENT_BYTES = 512 * 1000**2
"""The most bytes of a document that is fetched (contract 9.1)."""

TOO_LARGE = "video_filesize_too_large"
UNAVAILABLE = "asset_unavailable"
NETWORK_LOST = "network_lost"

BROKE = ("internal_error", "The server could not look at the file; its log says why")
"""Code and sentence of what nobody thought of."""

AGAIN, LATER, NETWORK = "again", "later", "network"
"""The fact of an asset that was not fetched for a reason that may pass: at the other side, or in our own network."""


class Inspector(Protocol):
    """What looks into files; `covey.analysis.media.Decoder` is the real one."""

    async def inspect(self, file: Path) -> Inspection:
        """What a file is. Raises Undecodable."""
        ...


class AssetInspector:
    """Looks at assets, a few at once."""

    def __init__(self, files: AssetFiles, inspector: Inspector, fetcher: Fetcher, settings: Analysis) -> None:
        self._files = files
        self._inspector = inspector
        self._fetcher = fetcher
        self._settings = settings
        self._inspections = asyncio.Semaphore(INSPECTIONS)
        self._downloads = asyncio.Semaphore(DOWNLOADS)

    async def look(self, asset: Asset) -> Asset:
        """The asset as it is found: ready, or failed with the reason."""
        try:
            if asset.source is not None and not await self._files.has(asset.id):
                asset = await self._fetched(asset, asset.source)
            if asset.kind == DOCUMENT:
                return replace(asset, state=AssetState.ready)
            async with self._inspections, self._files.local(asset.id) as file:
                found = await self._inspector.inspect(file)
                _check_size(found, self._settings)
                return _described_by(asset, found)
        except Undecodable as error:
            return failed(asset, error.code, error.message)
        except FetchError as error:
            again = again_of(error)
            asset = replace(asset, facts=asset.facts if again is None else {**asset.facts, AGAIN: again})
            return failed(asset, UNAVAILABLE, error.message)
        except (NoRoom, BadRequest) as error:
            return failed(asset, error.code, error.message)
        except CoveyError:
            raise
        except Exception:
            log.exception("asset_inspection_failed", asset=asset.id)
            return failed(asset, *BROKE)

    async def _fetched(self, asset: Asset, url: str) -> Asset:
        """The asset with the bytes that are at its address."""
        file = self._files.spooled()
        try:
            async with self._downloads:
                with free_bytes():
                    got = await self._fetcher.download(url, file, self._settings.url_bytes)
            head = await asyncio.to_thread(head_of, file)
            kind = kind_of(asset.name, head) or kind_of(got.name, head)
            if kind is None:
                raise BadRequest("What the address gave is no video, audio, image or document", code=BROKEN)
            if (wrong := too_large(kind, got.size, self._settings.url_bytes, self._settings)) is not None:
                raise BadRequest(wrong, code=TOO_LARGE)
            await self._files.keep(asset.id, file)
        finally:
            file.unlink(missing_ok=True)
        facts = {**asset.facts, "file_type": kind.media_type}
        return replace(asset, kind=kind.kind, size=got.size, facts=facts)


def too_large(kind: FileType | None, size: int, most: int, settings: Analysis) -> str | None:
    """What is wrong with the size of a file, a sentence; None if nothing is. `most` is for videos and sound."""
    if kind is not None and kind.kind == IMAGE:
        most = min(most, settings.image_bytes)
    if kind is not None and kind.kind == DOCUMENT:
        most = min(most, DOCUMENT_BYTES)
    return f"{size:,} bytes are more than the limit of {most:,} bytes" if size > most else None


def head_of(file: Path) -> bytes:
    """The first bytes of a file, which say what it is."""
    with file.open("rb") as opened:
        return opened.read(HEAD)


def _check_size(found: Inspection, settings: Analysis) -> None:
    """Raises Undecodable for a video whose pictures are smaller or larger than the settings allow."""
    if found.kind != VIDEO:
        return
    size = f"Its pictures are {found.width}x{found.height}"
    if min(found.width, found.height) < settings.min_side:
        raise Undecodable(RESOLUTION_TOO_LOW, f"{size}; their shorter side has to have {settings.min_side} pixels")
    if found.width * found.height > settings.max_pixels:
        raise Undecodable(RESOLUTION_TOO_HIGH, f"{size}, more than {settings.max_pixels} pixels")


def _described_by(asset: Asset, found: Inspection) -> Asset:
    """The asset with what was found in its file, in the words of the API's `technical_metadata`."""
    told: dict[str, object] = {
        "file_size_bytes": asset.size,
        "file_mime_type": asset.facts.get("file_type"),
        "file_container_format": found.container,
        "has_audio": found.has_audio,
        "audio_codec": found.audio_codec,
    }
    if found.kind == IMAGE:
        told |= {"image_width": found.width, "image_height": found.height, "image_format": found.video_codec}
    elif found.kind == VIDEO:
        told |= {"video_codec": found.video_codec, "video_width": found.width, "video_height": found.height}
        told |= {"video_fps": found.fps, "video_duration_seconds": found.seconds}
    facts: dict[str, object] = {
        **asset.facts,
        "technical_metadata": {name: value for name, value in told.items() if value},
    }
    if found.warnings:
        facts["warnings"] = list(found.warnings)
    kind = found.kind if found.kind in KINDS else asset.kind
    seconds = None if kind == IMAGE else found.seconds
    return replace(asset, state=AssetState.ready, kind=kind, seconds=seconds, facts=facts)


def again_of(error: FetchError) -> str | None:
    """Whether what was not fetched may be another time: LATER, NETWORK, or None for never."""
    if not isinstance(error, FetchFailed) or not error.retryable:
        return None
    return NETWORK if isinstance(error, NetworkLost) else LATER


def unfetched(again: object, message: str) -> Refused | Down:
    """What is raised for an item whose bytes were not fetched. No model was asked, so nothing is said of it."""
    if again == NETWORK:
        return Down(message, NETWORK_LOST, ours=True)
    return (TryAgain if again == LATER else Refused)(UNAVAILABLE, message, Blame.nothing)


def failed(asset: Asset, code: str, message: str) -> Asset:
    """The asset as one that cannot be used, and why."""
    return replace(asset, state=AssetState.failed, error=message, facts={**asset.facts, "code": code})
