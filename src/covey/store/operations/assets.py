"""Assets: the facts of files; their bytes lie elsewhere."""

from collections.abc import Callable, Sequence
from typing import Any

from covey.domain.asset import Asset, AssetState
from covey.domain.errors import NotFound
from covey.domain.run import Json
from covey.store.operations.rows import AssetRow
from covey.store.operations.runs import clean
from covey.store.operations.transaction import Database, load, micros, moment, text


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


def _asset(row: AssetRow) -> Asset:
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
    """Keep a new asset; `owner` is the worker that looks at it."""
    origin = {"name": clean(asset.name), "folded": folded(asset.name), "method": asset.method, "source": asset.source}
    kept = {"owner": owner, "created_at": micros(asset.created_at), "notes": text(asset.notes)}
    await database.write("asset_new", {**_facts(asset), **origin, **kept})


async def asset(database: Database, workspace: str, asset: str) -> Asset:
    """One asset. Raises NotFound."""
    return await _read(database, workspace, asset)


async def _read(database: Database, workspace: str, id: str) -> Asset:
    row = await database.row("asset_read", {"workspace": workspace, "id": id})
    if row is None:
        raise NotFound(f"there is no asset {id}")
    return _asset(row)


async def assets_among(database: Database, workspace: str, assets: Sequence[str]) -> dict[str, Asset]:
    """Those of `assets` that the workspace has, by id; at most a few thousand are asked for."""
    asked = {"workspace": workspace, "among": database.array(list(assets))}
    return {row.id: _asset(row) for row in await database.named("assets_among", asked)}


async def assets(
    database: Database,
    workspace: str,
    *,
    among: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    name: str | None = None,
    offset: int = 0,
    limit: int = 20,
) -> tuple[list[Asset], int]:
    """A page, newest first, and how many there are in all. `name` is a part of their names, in any case."""
    asked = {
        "workspace": workspace,
        "among": None if among is None else database.array(list(among)),
        "kinds": None if kinds is None else database.array(list(kinds)),
        "folded": None if name is None else folded(name),
    }
    rows = await database.named("assets_page", {**asked, "offset": offset, "limit": limit})
    return [_asset(row) for row in rows], int(await database.value("assets_count", asked))


async def change_asset(database: Database, asset: Asset) -> None:
    """Write state, size, seconds, kind, facts and error. Raises NotFound if it was deleted meanwhile."""
    if not await database.run("asset_change", _facts(asset)):
        raise NotFound(f"there is no asset {asset.id}")


async def annotate_asset(database: Database, workspace: str, asset: str, change: Callable[[Json], Json]) -> None:
    """Write what `change` makes of the notes that an owner keeps with an asset. Nobody else changes them meanwhile.
    `change` may be called more than once. Raises NotFound, and what `change` raises."""
    which = {"workspace": workspace, "id": asset}
    await database.lock("lock_asset", which)
    found = await _read(database, workspace, asset)
    await database.write("asset_annotate", {**which, "notes": text(change(found.notes))})


async def delete_asset(database: Database, workspace: str, asset: str) -> None:
    """Delete an asset. Raises NotFound."""
    if not await database.run("asset_delete", {"workspace": workspace, "id": asset}):
        raise NotFound(f"there is no asset {asset}")


async def take_over_assets(database: Database, me: str, limit: int = 10) -> list[Asset]:
    """Assets in state `processing` whose owner is dead: from now on `me` looks at them."""
    return [_asset(row) for row in await database.named("assets_take_over", {"me": me, "limit": limit})]
