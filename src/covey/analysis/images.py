"""The images that a prompt names: of an asset, at an address, or sent along."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from covey.analysis.backend import Refused
from covey.analysis.encoded import decoded
from covey.analysis.file_types import HEAD, IMAGE, kind_of
from covey.analysis.inspection import UNAVAILABLE, again_of, unfetched
from covey.analysis.storage import AssetFiles
from covey.disk import free_bytes
from covey.domain.asset import Asset, AssetState
from covey.fetch import Fetcher, FetchError

INVALID = "parameter_invalid"

ReadyAsset = Callable[[str, str], Awaitable[Asset | None]]
"""A workspace's asset by id, once it was looked at; None if there is none."""


class Images:
    """Gives the bytes of images, at most `most` of each."""

    def __init__(self, files: AssetFiles, fetcher: Fetcher, most: int, ready_asset: ReadyAsset) -> None:
        self._files = files
        self._fetcher = fetcher
        self._most = most
        self._ready_asset = ready_asset

    async def bytes_of(self, workspace: str, source: Mapping[str, object]) -> bytes:
        """The bytes of a source (`name`, and one of `asset_id`, `url`, `base64_string`). Raises Refused, Again,
        Down and NoRoom."""
        name = str(source.get("name"))
        if isinstance(source.get("asset_id"), str):
            given = await self._stored_asset(workspace, str(source["asset_id"]).lower(), name)
        elif isinstance(source.get("url"), str):
            given = await self._fetched(str(source["url"]), name)
        else:
            given = await asyncio.to_thread(_decoded, str(source.get("base64_string") or ""), name)
        found = kind_of("", given[:HEAD])
        if found is None or found.kind != IMAGE:
            raise Refused(INVALID, f"The media source {name!r} is no image")
        if len(given) > self._most:
            raise Refused(INVALID, f"The media source {name!r} is over {self._most:,} bytes")
        return given

    async def _stored_asset(self, workspace: str, asset: str, name: str) -> bytes:
        found = await self._ready_asset(workspace, asset)
        if found is None or found.state is not AssetState.ready:
            raise Refused(UNAVAILABLE, f"The asset of the media source {name!r} is not there or cannot be used")
        if found.kind != IMAGE:
            raise Refused(INVALID, f"The asset of the media source {name!r} is no image but of the kind {found.kind}")
        try:
            async with self._files.local(asset) as file:
                return await asyncio.to_thread(file.read_bytes)
        except FileNotFoundError:
            raise Refused(UNAVAILABLE, f"The asset of the media source {name!r} was deleted") from None

    async def _fetched(self, url: str, name: str) -> bytes:
        file = self._files.spooled()
        try:
            with free_bytes():
                await self._fetcher.download(url, file, self._most)
            return await asyncio.to_thread(file.read_bytes)
        except FetchError as error:
            raise unfetched(again_of(error), f"The media source {name!r} cannot be had: {error.message}") from None
        finally:
            file.unlink(missing_ok=True)


def _decoded(text: str, name: str) -> bytes:
    """The bytes of a base64 string, also of one in a data URL."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return b"".join(decoded(text))
    except ValueError:
        raise Refused(INVALID, f"The media source {name!r} is not valid base64") from None
