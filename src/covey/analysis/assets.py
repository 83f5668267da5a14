"""The life of an asset: its bytes come or are fetched, it is looked at, and then it is ready or failed."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import structlog

from covey.analysis.backend import Refused
from covey.analysis.file_types import VIDEO, kind_of
from covey.analysis.images import Images
from covey.analysis.inspection import (
    AGAIN,
    BROKE,
    TOO_LARGE,
    UNAVAILABLE,
    AssetInspector,
    Inspector,
    failed,
    head_of,
    too_large,
    unfetched,
)
from covey.analysis.storage import AssetFiles
from covey.analysis.uploads.parts import LIFE, Multiparts
from covey.analysis.uploads.service import PartUploads
from covey.disk import NoRoom
from covey.domain.asset import Asset, AssetState
from covey.domain.clock import Clock
from covey.domain.errors import BadRequest, CoveyError, NotFound, Unavailable
from covey.domain.ids import new_id
from covey.domain.run import Blame, Json
from covey.fetch import Fetcher, FetchError
from covey.loop import Loop
from covey.settings import Analysis

log = structlog.get_logger(__name__)

DIRECT, URL, MULTIPART = "direct", "url", "multipart"
PARTS = "uploads"
"""The folder of uploads in parts, beside the spool."""

POLL_SECONDS = 0.5
TAKEN_AT_ONCE = 10
INVALID = "parameter_invalid"


class AssetRepository(Protocol):
    """The rows of assets; see `covey.store.store.Assets`."""

    async def add_asset(self, asset: Asset, owner: str) -> None: ...

    async def asset(self, workspace: str, asset: str) -> Asset: ...

    async def change_asset(self, asset: Asset) -> None: ...

    async def delete_asset(self, workspace: str, asset: str) -> None: ...

    async def take_over_assets(self, me: str, limit: int = 10) -> list[Asset]: ...


class Intake:
    """Takes assets in, and looks at them. A row is written before its bytes get their place, and goes last: whatever
    is interrupted, no bytes lie about that nothing leads to."""

    def __init__(
        self,
        repository: AssetRepository,
        files: AssetFiles,
        inspector: Inspector,
        fetcher: Fetcher,
        clock: Clock,
        settings: Analysis,
        worker: str,
    ) -> None:
        """`worker` is this process, the owner of the assets that it looks at."""
        self._repository = repository
        self.files = files
        self._inspector = AssetInspector(files, inspector, fetcher, settings)
        self._fetcher = fetcher
        self._clock = clock
        self._settings = settings
        self._worker = worker
        self._taking: dict[str, asyncio.Task[None]] = {}
        self._in_hand: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, Asset] = {}
        self._doubtful: dict[str, Asset] = {}
        self._awaited: dict[str, Asset] = {}
        self._images = Images(files, fetcher, settings.image_bytes, self.ready_asset)
        self.uploads = PartUploads(self, Multiparts(files.spool.parent.with_name(PARTS)), clock)

    async def make_asset(
        self,
        workspace: str,
        *,
        name: str,
        method: str = DIRECT,
        kind: str | None = None,
        file: Path | None = None,
        url: str | None = None,
        notes: Json | None = None,
        ident: str = "",
    ) -> Asset:
        """A new asset, still `processing`, of a file in the spool (which is gone afterwards) or of an address.

        `kind` is believed where it is said. `ident` is its id, if that was made before. Raises BadRequest (unknown
        kind, too large, address not allowed), NoRoom, Unavailable; then nothing is left.
        """
        try:
            self._check(url)
            asset = await self._described(workspace, name or _name_in(url or ""), method, kind, file, url, notes or {})
            asset = replace(asset, id=ident or asset.id)
            taking = self._taking[asset.id] = asyncio.create_task(self._take(asset, file))
            taking.add_done_callback(lambda _: self._taking.pop(asset.id, None))
        except BaseException:
            _drop(file)
            raise
        await asyncio.shield(taking)
        return asset

    async def made_asset(self, workspace: str, asset: str) -> Asset | None:
        """The asset that a request, which came to no answer, was about to make; None if it did not, and then it never
        will. Raises Unavailable."""
        if (taking := self._taking.get(asset)) is not None:
            await asyncio.wait([taking])
        if (doubtful := self._doubtful.get(asset)) is not None:
            await self._withdraw(doubtful)
            if asset in self._doubtful:
                raise Unavailable
        try:
            return await self._repository.asset(workspace, asset)
        except NotFound:
            return None

    def _check(self, url: str | None) -> None:
        if url is not None:
            try:
                self._fetcher.check(url)
            except FetchError as error:
                raise BadRequest(f"url: {error.message}", code=INVALID) from None

    async def _described(
        self, workspace: str, name: str, method: str, kind: str | None, file: Path | None, url: str | None, notes: Json
    ) -> Asset:
        now = self._clock.now()
        found, size = kind_of(name, b""), None
        if file is not None:
            size = (await asyncio.to_thread(file.stat)).st_size
            found = kind_of(name, await asyncio.to_thread(head_of, file))
            if found is None and kind is None:
                raise BadRequest(f"file: {name!r} is no video, audio, image or document that is known", code=INVALID)
            if (wrong := too_large(found, size, self._settings.direct_bytes, self._settings)) is not None:
                raise BadRequest(f"file: {wrong}", code=TOO_LARGE)
        kind = kind or (found.kind if found else VIDEO)
        facts: Json = {"file_type": found.media_type} if found else {}
        return Asset(
            new_id(now), workspace, name, kind, method, AssetState.processing, now, size, None, url, facts, None, notes
        )

    async def _take(self, asset: Asset, file: Path | None) -> None:
        """Write the row and give the bytes their place; nothing or both."""
        try:
            await self._repository.add_asset(asset, self._worker)
            if file is not None:
                await self.files.keep(asset.id, file)
        except Unavailable:
            self._doubtful[asset.id] = asset
            raise
        except Exception:
            await self._withdraw(asset)
            raise
        finally:
            _drop(file)
        self._begin(asset)

    async def _withdraw(self, asset: Asset) -> None:
        """Take back an asset that nobody was told of; what cannot be done now, a round does later."""
        try:
            await self._delete(asset.workspace, asset.id)
        except NotFound:
            self._doubtful.pop(asset.id, None)
        except CoveyError as error:
            log.warning("asset_removal_deferred", asset=asset.id, why=error.message)
            self._doubtful[asset.id] = asset
        else:
            self._doubtful.pop(asset.id, None)

    async def delete(self, workspace: str, asset: str) -> None:
        """Remove an asset with its bytes, or with the parts of them that came. Raises NotFound, Unavailable,
        FilesUnavailable; then ask again."""
        await self._delete(workspace, asset)
        await asyncio.to_thread(self.uploads.parts.forget, asset)

    async def _delete(self, workspace: str, asset: str) -> None:
        await self._repository.asset(workspace, asset)
        task = self._in_hand.get(asset)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._again.pop(asset, None)
        self._awaited.pop(asset, None)
        await self.files.delete(asset)
        await self._repository.delete_asset(workspace, asset)

    async def ready_asset(self, workspace: str, asset: str) -> Asset | None:
        """The asset once it was looked at, ready or failed; None if there is none, or not any more."""
        while True:
            try:
                found = await self._repository.asset(workspace, asset)
            except NotFound:
                return None
            if found.state is not AssetState.processing:
                return found
            task = self._in_hand.get(asset)
            if task is not None:
                await asyncio.wait([task])
            else:
                await asyncio.sleep(POLL_SECONDS)

    async def fetched_asset(self, workspace: str, url: str) -> Asset:
        """An asset made of what is at an address, once it was looked at. One that failed is not kept, and none is if
        nobody waits any more. Raises Refused if the address may not be asked, Again and Down if another time it may
        work (Down: our own network is gone), NoRoom, Unavailable."""
        making = asyncio.create_task(self.make_asset(workspace, name="", method=URL, url=url))
        try:
            made = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(self._unwanted)
            raise
        except BadRequest as error:
            raise Refused(UNAVAILABLE, error.message, Blame.nothing) from None
        found: Asset | None = None
        try:
            found = await self.ready_asset(workspace, made.id)
        finally:
            if found is None or found.state is AssetState.failed:
                await self._withdraw(made)
        if found is None:
            raise Refused(UNAVAILABLE, "The asset was deleted before its turn came", Blame.nothing)
        if found.facts.get("code") == NoRoom.code:
            raise NoRoom
        if found.facts.get(AGAIN) is not None:
            raise unfetched(found.facts[AGAIN], found.error or "")
        return found

    def _unwanted(self, making: asyncio.Task[Asset]) -> None:
        """Have an asset withdrawn whose maker went away meanwhile."""
        if not making.cancelled() and making.exception() is None:
            made = making.result()
            self._doubtful[made.id] = made

    async def image(self, workspace: str, source: Mapping[str, object]) -> bytes:
        """The bytes of a media source of a prompt. Raises Refused, Again, Down, NoRoom."""
        return await self._images.bytes_of(workspace, source)

    def _begin(self, asset: Asset) -> None:
        """Look at an asset, behind everybody's back."""
        self._again.pop(asset.id, None)
        task = asyncio.create_task(self._look(asset), name=f"asset {asset.id}")
        self._in_hand[asset.id] = task
        task.add_done_callback(lambda done: self._in_hand.pop(asset.id, None))

    async def _look(self, asset: Asset) -> None:
        try:
            await self._looked_at(asset)
        except CoveyError as error:
            log.warning("asset_inspection_deferred", asset=asset.id, why=error.message)
            self._again[asset.id] = asset
        except Exception:
            log.exception("asset_failed", asset=asset.id)
            await self._broke(asset)

    async def _broke(self, asset: Asset) -> None:
        """Have nobody wait for an asset that nothing comes of; if that too does not work, a round does it all again."""
        try:
            await self._repository.change_asset(failed(asset, *BROKE))
        except NotFound:
            return
        except Exception:
            log.exception("asset_inspection_deferred", asset=asset.id)
            self._again[asset.id] = asset

    async def _looked_at(self, asset: Asset) -> None:
        try:
            if asset.source is None and not await self.files.has(asset.id):
                if self._may_come(asset):
                    self._awaited[asset.id] = asset
                    return
                await self._withdraw(asset)
                return
            await self._repository.change_asset(await self._inspector.look(asset))
        except NotFound:
            await self.files.delete(asset.id)

    def _may_come(self, asset: Asset) -> bool:
        """Whether the parts of an asset may be on their way, here or to the server that dealt with it before."""
        return asset.method == MULTIPART and self._clock.now() < asset.created_at + LIFE

    async def await_parts(self, ident: str, workspace: str, name: str, kind: str, size: int, notes: Json) -> Asset:
        """The row of an asset, of this id, whose bytes come in parts. Raises Unavailable."""
        now, found = self._clock.now(), kind_of(name, b"")
        facts: Json = {"file_type": found.media_type} if found else {}
        state = AssetState.processing
        asset = Asset(ident, workspace, name, kind, MULTIPART, state, now, size, None, None, facts, None, notes)
        await self._repository.add_asset(asset, self._worker)
        return asset

    async def expected(self, workspace: str, asset: str) -> Asset | None:
        """An asset whose bytes have not come; None once they have. Raises NotFound, Unavailable."""
        found = await self._repository.asset(workspace, asset)
        return None if found.state is not AssetState.processing or asset in self._in_hand else found

    async def take_parts(self, asset: Asset, whole: Path) -> None:
        """Give an asset the bytes that came in parts, and look at it. Raises NoRoom, FilesUnavailable."""
        found = kind_of(asset.name, await asyncio.to_thread(head_of, whole))
        if found is not None:
            asset = replace(asset, kind=found.kind, facts={**asset.facts, "file_type": found.media_type})
        await self.files.keep(asset.id, whole)
        self._awaited.pop(asset.id, None)
        self._begin(asset)

    async def withdraw_parts(self, workspace: str, asset: str) -> None:
        """Take back an asset whose bytes did not come, or do it in a later round."""
        try:
            found = await self._repository.asset(workspace, asset)
        except NotFound:
            return
        if found.state is AssetState.processing:
            await self._withdraw(found)

    def spooled(self) -> Path:
        """A new name in the spool."""
        return self.files.spooled()

    async def _withdraw_overdue(self) -> None:
        """Take back assets whose parts did not come, of servers that do not live any more."""
        for asset in [one for one in self._awaited.values() if not self._may_come(one)]:
            del self._awaited[asset.id]
            if not await self.files.has(asset.id):
                await self.withdraw_parts(asset.workspace, asset.id)

    async def round(self) -> None:
        """Do what could not be done before, and take over what dead processes were looking at."""
        await self.uploads.round()
        await self._withdraw_overdue()
        for asset in list(self._doubtful.values()):
            await self._withdraw(asset)
        for asset in list(self._again.values()):
            self._begin(asset)
        taken = await self._repository.take_over_assets(self._worker, TAKEN_AT_ONCE)
        for asset in taken:
            self._begin(asset)

    async def close(self) -> None:
        """End what is under way; the next life takes it over."""
        await self.uploads.close()
        tasks = list(self._in_hand.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _name_in(url: str) -> str:
    """What an address calls its file."""
    return unquote(urlsplit(url).path.rpartition("/")[2]).replace("\0", "")[:255] or "asset"


def _drop(file: Path | None) -> None:
    if file is not None:
        file.unlink(missing_ok=True)


class AssetRecovery(Loop):
    """Rounds of an intake."""

    name = "assets"
    seconds = 2.0

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def stop(self) -> None:
        """End the loop, and what is under way."""
        await super().stop()
        await self._intake.close()

    async def round(self) -> None:
        """One round."""
        await self._intake.round()
