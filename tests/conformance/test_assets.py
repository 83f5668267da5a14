"""Assets: what is kept of a file."""

import asyncio
from dataclasses import replace

import pytest

from covey.domain.asset import Asset, AssetState
from covey.domain.errors import BadRequest, NotFound
from covey.domain.ids import new_id
from covey.domain.run import Json

from .conftest import WORKER, Scene


async def add(
    scene: Scene, name: str = "film.mp4", *, owner: str = WORKER, workspace: str = "w", **facts: object
) -> Asset:
    """A new asset, a second later than the last."""
    scene.clock.advance(1)
    ready: dict[str, object] = {"kind": "video", "method": "direct", "state": AssetState.processing, **facts}
    asset = Asset(new_id(scene.now), workspace, name, created_at=scene.now, **ready)  # type: ignore[arg-type]
    await scene.store.add_asset(asset, owner)
    return asset


async def test_an_asset_reads_as_it_was_added(scene: Scene) -> None:
    asset = await add(
        scene, size=5_000_000_000, seconds=12.5, source="https://x/y", facts={"width": 3}, error="no", notes={"a": [1]}
    )
    assert await scene.store.asset("w", asset.id) == asset
    bare = await add(scene)
    assert await scene.store.asset("w", bare.id) == bare


async def test_what_is_found_out_is_written(scene: Scene) -> None:
    asset = await add(scene, notes={"mine": True})
    found = replace(
        asset, state=AssetState.ready, kind="audio", size=7, seconds=2.0, facts={"fps": 25}, error="odd", notes={}
    )
    await scene.store.change_asset(found)
    assert await scene.store.asset("w", asset.id) == replace(found, notes={"mine": True})


async def test_what_an_owner_keeps_is_changed_one_after_the_other(scene: Scene) -> None:
    """And what is found out meanwhile stays."""
    asset = await add(scene, notes={"mine": True})
    changes = [scene.store.annotate_asset("w", asset.id, lambda now, n=n: {**now, f"k{n}": n}) for n in range(20)]  # type: ignore[misc]
    found = replace(asset, state=AssetState.ready, facts={"fps": 25})
    await asyncio.gather(*changes, scene.store.change_asset(found))
    kept = await scene.store.asset("w", asset.id)
    assert kept == replace(found, notes={"mine": True, **{f"k{n}": n for n in range(20)}})

    def refuse(now: Json) -> Json:
        raise BadRequest("too much")

    with pytest.raises(BadRequest):
        await scene.store.annotate_asset("w", asset.id, refuse)
    assert await scene.store.asset("w", asset.id) == kept


async def test_assets_of_others_are_not_there(scene: Scene) -> None:
    asset = await add(scene)
    stranger = replace(asset, workspace="other")
    for call in (
        scene.store.asset("other", asset.id),
        scene.store.delete_asset("other", asset.id),
        scene.store.change_asset(stranger),
        scene.store.annotate_asset("other", asset.id, dict),
        scene.store.asset("w", "nothing"),
    ):
        with pytest.raises(NotFound):
            await call
    assert await scene.store.assets("other") == ([], 0)
    assert await scene.store.assets_among("other", [asset.id]) == {}
    assert await scene.store.assets_among("w", [asset.id, "nothing"]) == {asset.id: asset}


async def test_a_deleted_asset_is_gone(scene: Scene) -> None:
    asset = await add(scene)
    await scene.store.delete_asset("w", asset.id)
    for call in (
        scene.store.asset("w", asset.id),
        scene.store.delete_asset("w", asset.id),
        scene.store.change_asset(asset),
    ):
        with pytest.raises(NotFound):
            await call


async def test_pages_are_newest_first(scene: Scene) -> None:
    made = [await add(scene, kind=("video", "audio", "image")[n % 3]) for n in range(7)][::-1]
    assert await scene.store.assets("w") == (made, 7)
    assert await scene.store.assets("w", offset=2, limit=3) == (made[2:5], 7)
    assert await scene.store.assets("w", offset=7) == ([], 7)
    some = [asset.id for asset in made[1:4]]
    assert await scene.store.assets("w", among=[*some, "nothing"], limit=2) == (made[1:3], 3)
    assert await scene.store.assets("w", among=[]) == ([], 0)
    heard = [asset for asset in made if asset.kind != "video"]
    assert await scene.store.assets("w", kinds=["audio", "image"]) == (heard, len(heard))


@pytest.mark.parametrize(
    ("part", "found"),
    [("holiday", [0, 1]), ("HOLI", [0, 1]), ("100%", [2]), ("0_", [3]), ("\\", [4]), ("étÉ", [5]), ("", range(6))],
)
async def test_a_part_of_a_name_is_meant_as_it_is_written(scene: Scene, part: str, found: list[int]) -> None:
    names = ["Holiday.mp4", "my holiday.MOV", "100% sure", "10_0", "back\\slash", "l'Été"]
    made = [await add(scene, name) for name in names]
    page, total = await scene.store.assets("w", name=part)
    assert ([made.index(asset) for asset in page[::-1]], total) == (list(found), len(found))


async def test_what_a_dead_worker_looked_at_is_taken_over_once(scene: Scene) -> None:
    await scene.store.enlist("doomed")
    left = [await add(scene, owner="doomed") for _ in range(3)]
    await add(scene, owner="doomed", state=AssetState.ready)
    await add(scene)
    await scene.bury("doomed")
    taken = [await scene.store.take_over_assets(WORKER, 2) for _ in range(3)]
    assert [len(one) for one in taken] == [2, 1, 0]
    assert sorted(asset.id for one in taken for asset in one) == [asset.id for asset in left]


async def test_one_without_a_worker_is_taken_over_too(scene: Scene) -> None:
    asset = await add(scene, owner="nobody")
    assert await scene.store.take_over_assets(WORKER) == [asset]
