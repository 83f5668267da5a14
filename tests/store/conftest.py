"""A SQLite store in a folder of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from covey.domain.lane import Lane
from covey.store.sqlite import SqliteStore

from ..clock import ManualClock
from ..conformance.conftest import WORKER, Scene
from ..conformance.databases import DATABASES


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def sqlite(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "covey.db", clock)
    await store.open()
    await store.enlist(WORKER)
    await store.put_lane(Lane("lane", 100))
    yield store
    await store.close()


@pytest.fixture
def scene(sqlite: SqliteStore, clock: ManualClock) -> Scene:
    return Scene(sqlite, clock, DATABASES["sqlite"])
