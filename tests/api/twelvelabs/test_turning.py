"""Pausing and resuming, and what happens to a task while its caller goes away or deletes it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx as real_httpx
import httpx2 as httpx
import pytest
from twelvelabs import TwelveLabs
from typer.testing import CliRunner, Result

from covey.analysis.config import lane_of
from covey.api.twelvelabs import convert
from covey.cli.commands import app
from covey.cli.exits import Exit
from covey.domain.batch import StopReason
from tests.api.twelvelabs.analysis_api import AnalysisApi, open_analysis_api
from tests.patience import patience

BATCHES = "/v1.3/analyze/batches"
TASKS = "/v1.3/analyze/tasks"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[AnalysisApi]:
    async with open_analysis_api(tmp_path) as opened:
        yield opened


async def held(api: AnalysisApi, path: str) -> Any:
    """What holds a batch back, as its own route and the list say."""
    alone = (await api.client.get(path)).json()["holding"]
    listed = (await api.client.get(BATCHES)).json()["data"]
    assert [one["holding"] for one in listed if path.endswith(one["batch_id"])] == [alone]
    return alone


async def test_a_dead_model_says_why_it_holds_its_batches(api: AnalysisApi) -> None:
    lane, until = lane_of("local-facts"), api.clock.now() + timedelta(minutes=1)
    await api.services.store.open_lane(lane, until, "http://models/v1 could not be reached")
    made = await api.create("hello", "hello")
    path = f"{BATCHES}/{made['batch_id']}"
    found = await held(api, path)
    assert (found["code"], "http://models/v1 could not be reached" in found["message"]) == ("model_down", True)
    assert found["since"] <= convert.time(api.clock.now())
    with real_httpx.Client() as http:
        sdk = TwelveLabs(api_key=api.secrets["operate"], base_url=f"{api.url}/v1.3", httpx_client=http)
        parsed = await asyncio.to_thread(sdk.analyze_async.batches.retrieve, made["batch_id"])
    assert (parsed.status, parsed.queued_items) == ("pending", 2)
    shown = await command(api, "show", made["batch_id"])
    assert "Held back: The model takes nothing now: http://models/v1 could not be reached" in shown.stdout
    assert "held back: model_down" in (await command(api, "list", "--videos")).stdout
    assert "covey list --videos" in (await command(api, "list")).stderr
    await api.services.store.open_lane(lane, until, "model_down")
    assert "cannot be reached" in (await held(api, path))["message"]
    await api.client.post(f"{path}/pause")
    assert (await held(api, path))["code"] == "paused"
    await api.client.post(f"{path}/resume")
    await api.services.store.close_lane(lane)
    api.services.wakeups.work(lane)
    assert (await api.until(path, "completed"))["holding"] is None


async def test_a_full_model_and_a_budget_in_hand_hold_back(api: AnalysisApi) -> None:
    made = await api.create(*["hold"] * 5)
    path = f"{BATCHES}/{made['batch_id']}"
    await api.echo.holding(4)
    assert (await held(api, path))["message"] == "All 4 places of the model are taken"
    release(api)
    await api.echo.holding(1)
    release(api)
    await api.until(path, "completed")
    workspace = await api.services.store.workspace("ws-one")
    await api.services.store.change_workspace(replace(workspace, settings={"prices": {"analysis": {"perItem": "1"}}}))
    path = f"{BATCHES}/{(await api.create('hold', 'hold', max_cost='1'))['batch_id']}"
    await api.echo.holding(1)
    assert (await held(api, path))["code"] == "budget_reserved"
    release(api)
    await api.until(path, "canceled")


def release(api: AnalysisApi) -> None:
    """Let everything that is held go on."""
    going, api.echo.go = api.echo.go, asyncio.Event()
    going.set()


async def test_a_batch_is_paused_and_goes_on(api: AnalysisApi) -> None:
    made = await api.create(*["hold"] * 5)
    path = f"{BATCHES}/{made['batch_id']}"
    await api.echo.holding(4)
    for _ in range(2):
        answer = await api.client.post(f"{path}/pause", headers={"idempotency-key": "pause"})
        assert answer.status_code == 200, answer.text
        assert (answer.json()["paused"], answer.json()["status"]) == (True, "processing")
    release(api)
    async with patience():
        while (found := (await api.client.get(path)).json())["ready_items"] < 4:
            await asyncio.sleep(0.01)
    assert (found["paused"], found["queued_items"], found["processing_items"]) == (True, 1, 0)
    listed = (await api.client.get(BATCHES)).json()["data"]
    assert [one["paused"] for one in listed] == [True]
    for _ in range(2):
        answer = await api.client.post(f"{path}/resume")
        assert (answer.status_code, answer.json()["paused"]) == (200, False)
        await api.echo.holding(1)
    release(api)
    await api.until(path, "completed")
    for word in ("pause", "resume"):
        answer = await api.client.post(f"{path}/{word}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "batch_completed")
        answer = await api.client.post(f"{BATCHES}/{'0' * 24}/{word}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_not_exist")


@pytest.mark.parametrize(("reason", "word"), [(StopReason.cancel, "canceled"), (StopReason.expire, "expired")])
async def test_a_stopped_batch_cannot_be_turned(api: AnalysisApi, reason: StopReason, word: str) -> None:
    made = await api.create("hold")
    await api.echo.holding(1)
    await api.services.store.stop("ws-one", made["batch_id"], reason)
    for ended in (False, True):
        for turn in ("pause", "resume"):
            answer = await api.client.post(f"{BATCHES}/{made['batch_id']}/{turn}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, f"batch_{word}")
        if not ended:
            release(api)
            found = await api.until(f"{BATCHES}/{made['batch_id']}", word)
            assert found["paused"] is False


async def command(api: AnalysisApi, *args: str) -> Result:
    """A command of the command line against this server."""
    env = {"COVEY_URL": api.url, "COVEY_API_KEY": api.secrets["operate"], "COVEY_WORKSPACE": "ws-one", "NO_COLOR": "1"}
    return await asyncio.to_thread(CliRunner().invoke, app, list(args), env=env)


async def test_the_command_line_pauses_videos_too(api: AnalysisApi) -> None:
    batch = (await api.create("hold"))["batch_id"]
    await api.echo.holding(1)
    paused = await command(api, "pause", batch)
    assert paused.exit_code == Exit.ok, paused.stderr
    assert "paused: 0 completed" in paused.stdout
    assert "paused" in (await command(api, "show", batch)).stdout
    resumed = await command(api, "resume", batch)
    assert "processing: 0 completed" in resumed.stdout
    release(api)
    await api.until(f"{BATCHES}/{batch}", "completed")
    assert (await command(api, "pause", batch)).exit_code == Exit.conflict


async def test_a_caller_who_comes_back_is_analysed_anew(api: AnalysisApi) -> None:
    video = {"type": "asset_id", "asset_id": api.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "hold", "stream": False}
    headers = {"x-api-key": api.secrets["operate"], "idempotency-key": "again"}
    async with httpx.AsyncClient(base_url=api.url, headers=headers) as client:
        left = asyncio.create_task(client.post("/v1.3/analyze", json=body))
        await api.echo.holding(1)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
    await api.echo.holding(0)
    async with httpx.AsyncClient(base_url=api.url, headers=headers) as client:
        back = asyncio.create_task(_accepted(client, body))
        await api.echo.holding(1)
        release(api)
        answer = await back
        assert (answer.status_code, answer.json()["data"]) == (200, "hold"), answer.text
        assert "idempotency-replayed" not in answer.headers
        again = await client.post("/v1.3/analyze", json=body)
        assert (again.json(), again.headers["idempotency-replayed"]) == (answer.json(), "true")
    tasks = (await api.client.get(TASKS)).json()["data"]
    assert [one["status"] for one in tasks] == ["ready", "canceled"]


async def _accepted(client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    """The answer, once the first request has written down that it is over."""
    async with patience():
        while (answer := await client.post("/v1.3/analyze", json=body)).status_code == 409:
            await asyncio.sleep(0.01)
    return answer


async def test_a_delete_never_ends_what_has_started(api: AnalysisApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task is claimed after the delete has looked at it, and before it is stopped."""
    await api.create(*["hold"] * 4)
    await api.echo.holding(4)
    video = {"type": "asset_id", "asset_id": api.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "hold"}
    task = (await api.client.post(TASKS, json=body)).json()["task_id"]
    stop = api.services.store.stop

    async def late(*args: Any, **more: Any) -> Any:
        release(api)
        await api.echo.holding(0)
        await api.echo.holding(1)
        return await stop(*args, **more)

    monkeypatch.setattr(api.services.store, "stop", late)
    answer = await api.client.delete(f"{TASKS}/{task}")
    assert (answer.status_code, answer.json()["code"]) == (409, "task_processing")
    monkeypatch.undo()
    answer = await api.client.delete(f"{TASKS}/{task}")
    assert (answer.status_code, answer.json()["code"]) == (409, "task_processing")
    release(api)
    found = await api.until(f"{TASKS}/{task}", "ready", "canceled")
    assert (found["status"], found["result"]["data"]) == ("ready", "hold")
    assert (await api.client.delete(f"{TASKS}/{task}")).status_code == 204


async def test_a_queued_task_is_deleted(api: AnalysisApi) -> None:
    await api.create(*["hold"] * 4)
    await api.echo.holding(4)
    video = {"type": "asset_id", "asset_id": api.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "hold"}
    task = (await api.client.post(TASKS, json=body)).json()["task_id"]
    assert (await api.client.delete(f"{TASKS}/{task}")).status_code == 204
    assert (await api.client.get(f"{TASKS}/{task}")).status_code == 404
