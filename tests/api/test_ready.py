"""/readyz: a server that stood still, or has no room to write, takes no work until that is over."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from covey.server.assembly import LAG_SECONDS, LAGGED_SECONDS, running
from covey.server.vitals import LoopLag
from covey.settings import Analysis, Settings
from tests.api.harness import ApiHarness
from tests.clock import ManualClock


@contextmanager
def no_room(size: int = 0) -> Iterator[None]:
    """Files of this process may not grow beyond `size` bytes: a write fails as on a full disk (EFBIG for ENOSPC)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def ready(api: ApiHarness) -> str | None:
    """Why the server is not ready; None if it is."""
    answer = await api.client.get("/readyz")
    metrics = (await api.client.get("/metrics")).text
    assert answer.status_code in (200, 503)
    assert f"covey_ready {1.0 if answer.status_code == 200 else 0.0}" in metrics
    return None if answer.status_code == 200 else str(answer.json()["message"])


async def test_a_database_without_room_is_not_ready_until_it_has_some_again(api: ApiHarness) -> None:
    agent = {"name": "x", "greeting": "y"}
    assert await ready(api) is None
    with no_room():
        answer = await api.client.post("/v1/api/agents", json=agent)
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert "disk" not in answer.text
        for _ in range(2):
            assert await ready(api) == "The database has no room left on its disk"
    assert await ready(api) is None
    assert (await api.client.post("/v1/api/agents", json=agent)).status_code == 200
    rows = await api.services.store.writer.run(  # type: ignore[attr-defined]
        lambda database: database.connection.execute("SELECT count(*) FROM idempotency").fetchall()
    )
    assert rows == [(0,)]


async def test_a_folder_without_room_is_not_ready_until_it_has_some_again(api: ApiHarness) -> None:
    agent = await api.agent()
    people = b"phone_number\n" + b"+12125550101\n" * 20_000
    with no_room(1000):
        answer = await api.start(agent, csv=people)
        assert (answer.status_code, answer.json()["error"]) == (507, "no_room")
        for _ in range(2):
            assert await ready(api) == "There is no room for files where the data folder is"
    assert await ready(api) is None
    assert list(api.services.spool.iterdir()) == []


async def test_a_server_that_stood_still_is_not_ready_for_a_moment(tmp_path: Path) -> None:
    clock = ManualClock()
    settings = Settings(data=tmp_path, analysis=Analysis(sandbox="weak"))
    async with running(settings, clock) as server:
        await server.lag.stop()
        await server.lag.round()
        assert server.services.ready() is None
        for late, why in (
            (LAG_SECONDS, None),
            (LAG_SECONDS + 0.1, "the event loop stood still for 1.1 s a moment ago"),
        ):
            clock.advance(LoopLag.seconds + late)
            await server.lag.round()
            assert server.services.ready() == why
        clock.advance(LoopLag.seconds)
        await server.lag.round()
        assert server.services.ready() is not None
        for _ in range(int(LAGGED_SECONDS / LoopLag.seconds)):
            clock.advance(LoopLag.seconds)
            await server.lag.round()
        assert server.services.ready() is None


@pytest.mark.parametrize("path", ["/livez", "/metrics", "/v1/api/agents"])
async def test_the_rest_is_answered_all_the_same(api: ApiHarness, path: str) -> None:
    api.services.file_room.full = True
    with no_room():
        assert (await api.client.get("/readyz")).status_code == 503
        assert (await api.client.get(path)).status_code == 200
