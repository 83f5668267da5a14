"""What comes between the reads of a sweep and its locks."""

import asyncio

import pytest

from covey.domain.webhook import DeliveryState
from covey.store.operations.transaction import Params
from covey.store.postgres.transaction import PostgresTransaction
from covey.store.sqlite import SqliteStore
from tests.conformance.listening import change, listens, tell

from .conftest import Scene


async def test_an_endpoint_that_is_switched_on_while_it_is_swept_loses_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(scene.store, SqliteStore):
        pytest.skip("one thread writes: nothing comes between")
    await listens(scene)
    await change(scene, off_at=scene.now, off_reason="by hand")
    lock, between = PostgresTransaction.lock, asyncio.Event()

    async def slow(self: PostgresTransaction, name: str, params: Params) -> None:
        if name == "lock_endpoints" and not between.is_set():
            between.set()
            await change(scene, off_at=None, off_reason=None)
            await tell(scene, 3)
        await lock(self, name, params)

    monkeypatch.setattr(PostgresTransaction, "lock", slow)
    await scene.store.sweep_deliveries(scene.after(-3600))
    assert between.is_set()
    assert {one.state for one in await scene.store.deliveries("w", limit=100)} == {DeliveryState.waiting}
