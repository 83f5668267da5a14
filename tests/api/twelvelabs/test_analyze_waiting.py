"""An analysis that is waited for, of a model that does not work: nobody is kept waiting, and nothing is done later."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from covey.analysis.config import lane_of
from covey.api.twelvelabs import analyze
from tests.api.twelvelabs.analysis_api import AnalysisApi, open_analysis_api
from tests.patience import PATIENCE, patience

TASKS = "/v1.3/analyze/tasks"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[AnalysisApi]:
    async with open_analysis_api(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("stream", "reason", "told"),
    [
        (False, "It refused the key (401)", "It refused the key (401)"),
        (True, "It refused the key (401)", "It refused the key (401)"),
        (False, "model_timeout", "it did not answer in time, again and again"),
    ],
)
async def test_nobody_is_kept_waiting_for_a_model_that_is_held(
    stream: bool, reason: str, told: str, api: AnalysisApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyze, "HELD_PATIENCE", 0.1)
    monkeypatch.setattr(analyze, "LOOK_SECONDS", 0.05)
    lane = lane_of("local-facts")
    await api.services.store.open_lane(lane, api.clock.now() + timedelta(seconds=30), reason)
    video = {"type": "asset_id", "asset_id": api.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "hold", "stream": stream}
    async with patience():
        answer = await api.client.post("/v1.3/analyze", json=body, headers={"idempotency-key": "again"})
    said = f"The model local-facts does not work now: {told}"
    if stream:
        fault = orjson.loads(answer.text.splitlines()[-1])["error"]
        assert fault == {"code": "model_unavailable", "message": said}
    else:
        assert answer.status_code == 503
        fault = answer.json()["error"]
        assert (fault["code"], fault["message"]) == ("model_unavailable", said)
        assert int(answer.headers["retry-after"]) > 0
    (task,) = (await api.client.get(TASKS)).json()["data"]
    assert task["status"] == "canceled"
    await api.services.store.close_lane(lane)
    again = await api.client.post(
        "/v1.3/analyze", json={**body, "prompt": "anew", "stream": False}, headers={"idempotency-key": "anew"}
    )
    assert (again.status_code, again.json()["data"]) == (200, "anew")
    assert api.echo.runs == {}


async def test_a_task_that_is_processed_is_waited_for_though_its_model_is_held(
    api: AnalysisApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyze, "HELD_PATIENCE", 0.0)
    monkeypatch.setattr(analyze, "LOOK_SECONDS", 0.01)
    looks, item, enough = 0, api.services.store.item, asyncio.Event()

    async def counted(batch: str, seq: int) -> Any:
        nonlocal looks
        looks += 1
        if looks > 5:
            enough.set()
        return await item(batch, seq)

    monkeypatch.setattr(api.services.store, "item", counted)
    video = {"type": "asset_id", "asset_id": api.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "hold", "stream": False}
    waiting = asyncio.create_task(api.client.post("/v1.3/analyze", json=body))
    await api.echo.holding(1)
    await api.services.store.open_lane(lane_of("local-facts"), api.clock.now() + timedelta(seconds=30), "Nobody")
    looks = 0
    enough.clear()
    await asyncio.wait_for(enough.wait(), PATIENCE)
    going, api.echo.go = api.echo.go, asyncio.Event()
    going.set()
    answer = await waiting
    assert (answer.status_code, answer.json()["data"]) == (200, "hold")
