"""The ports about files and about what was used, each method as one operation."""

import functools
from collections.abc import Callable, Sequence
from datetime import date

from covey.domain.asset import Asset
from covey.domain.run import Json
from covey.domain.usage import UsageLine
from covey.store.operations import assets as files
from covey.store.operations import money
from covey.store.operations.running import Running


class AssetStore(Running):
    """Implements `covey.store.ports.Assets` and `covey.store.ports.Usage`."""

    async def add_asset(self, asset: Asset, owner: str) -> None:
        await self._write(lambda db: files.add_asset(db, asset, owner))

    async def asset(self, workspace: str, asset: str) -> Asset:
        return await self._look(lambda db: files.asset(db, workspace, asset))

    async def assets_among(self, workspace: str, assets: Sequence[str]) -> dict[str, Asset]:
        return await self._page(lambda db: files.assets_among(db, workspace, assets))

    async def assets(
        self,
        workspace: str,
        *,
        among: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        name: str | None = None,
        offset: int = 0,
        limit: int = 20,
    ) -> tuple[list[Asset], int]:
        look = functools.partial(
            files.assets, workspace=workspace, among=among, kinds=kinds, name=name, offset=offset, limit=limit
        )
        return await self._page(look)

    async def change_asset(self, asset: Asset) -> None:
        await self._write(lambda db: files.change_asset(db, asset))

    async def annotate_asset(self, workspace: str, asset: str, change: Callable[[Json], Json]) -> None:
        await self._write(lambda db: files.annotate_asset(db, workspace, asset, change))

    async def delete_asset(self, workspace: str, asset: str) -> None:
        await self._write(lambda db: files.delete_asset(db, workspace, asset))

    async def take_over_assets(self, me: str, limit: int = 10) -> list[Asset]:
        return await self._write(lambda db: files.take_over_assets(db, me, limit))

    async def usage(
        self, workspace: str, since: date, until: date, *, day: bool = False, batch: bool = False, key: bool = False
    ) -> list[UsageLine]:
        look = functools.partial(
            money.usage, workspace=workspace, since=since, until=until, day=day, batch=batch, key=key
        )
        return await self._page(look)
