"""Assets: the facts of files; their bytes lie elsewhere."""

from collections.abc import Callable, Sequence
from typing import Any

from covey.domain.asset import Asset, AssetState
from covey.domain.errors import NotFound
from covey.domain.run import Json
from covey.store.operations.database import Database, Row, load, micros, moment, text
from covey.store.operations.written import clean


def _facts(asset: Asset) -> dict[str, Any]:
    """What may change of an asset, and its keys."""
    return {
        "workspace": asset.workspace,
        "id": asset.id,
        "kind": asset.kind,
        "state": asset.state.value,
        "size": asset.size,
        "seconds": asset.seconds,
        "facts": text(asset.facts),
        "error": None if asset.error is None else clean(asset.error),
    }


def _asset(row: Row) -> Asset:
    return Asset(
        id=row.id,
        workspace=row.workspace,
        name=row.name,
        kind=row.kind,
        method=row.method,
        state=AssetState(row.state),
        created_at=moment(row.created_at),
        size=row.size,
        seconds=row.seconds,
        source=row.source,
        facts=load(row.facts),
        error=row.error,
        notes=load(row.notes),
    )


def folded(name: str) -> str:
    """A name, or a part of one, without the difference of capitals: every database then compares alike."""
    return clean(name).casefold()


async def add_asset(database: Database, asset: Asset, owner: str) -> None:
    """See `Assets.add_asset`."""
    origin = {"name": clean(asset.name), "folded": folded(asset.name), "method": asset.method, "source": asset.source}
    kept = {"owner": owner, "created_at": micros(asset.created_at), "notes": text(asset.notes)}
    await database.write("asset_new", {**_facts(asset), **origin, **kept})


async def asset(database: Database, workspace: str, id_: str) -> Asset:
    """See `Assets.asset`."""
    row = await database.row("asset_read", {"workspace": workspace, "id": id_})
    if row is None:
        raise NotFound(f"there is no asset {id_}")
    return _asset(row)


async def assets_among(database: Database, workspace: str, ids: Sequence[str]) -> dict[str, Asset]:
    """See `Assets.assets_among`."""
    asked = {"workspace": workspace, "among": database.array(list(ids))}
    return {row.id: _asset(row) for row in await database.named("assets_among", asked)}


async def assets(
    database: Database,
    workspace: str,
    *,
    among: Sequence[str] | None,
    kinds: Sequence[str] | None,
    name: str | None,
    offset: int,
    limit: int,
) -> tuple[list[Asset], int]:
    """A page of assets; see `Assets.assets`."""
    asked = {
        "workspace": workspace,
        "among": None if among is None else database.array(list(among)),
        "kinds": None if kinds is None else database.array(list(kinds)),
        "folded": None if name is None else folded(name),
    }
    rows = await database.named("assets_page", {**asked, "offset": offset, "limit": limit})
    return [_asset(row) for row in rows], int(await database.value("assets_count", asked))


async def change_asset(database: Database, asset: Asset) -> None:
    """See `Assets.change_asset`."""
    if not await database.run("asset_change", _facts(asset)):
        raise NotFound(f"there is no asset {asset.id}")


async def annotate_asset(database: Database, workspace: str, id_: str, change: Callable[[Json], Json]) -> None:
    """See `Assets.annotate_asset`."""
    which = {"workspace": workspace, "id": id_}
    await database.lock("lock_asset", which)
    found = await asset(database, workspace, id_)
    await database.write("asset_annotate", {**which, "notes": text(change(found.notes))})


async def delete_asset(database: Database, workspace: str, id_: str) -> None:
    """See `Assets.delete_asset`."""
    if not await database.run("asset_delete", {"workspace": workspace, "id": id_}):
        raise NotFound(f"there is no asset {id_}")


async def take_over_assets(database: Database, me: str, limit: int) -> list[Asset]:
    """See `Assets.take_over_assets`."""
    return [_asset(row) for row in await database.named("assets_take_over", {"me": me, "limit": limit})]
