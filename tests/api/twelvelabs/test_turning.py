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
from tests.api.twelvelabs.lab import Lab, open_lab
from tests.patience import patience

BATCHES = "/v1.3/analyze/batches"
TASKS = "/v1.3/analyze/tasks"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path) as opened:
        yield opened


async def held(lab: Lab, path: str) -> Any:
    """What holds a batch back, as its own route and the list say."""
    alone = (await lab.client.get(path)).json()["holding"]
    listed = (await lab.client.get(BATCHES)).json()["data"]
    assert [one["holding"] for one in listed if path.endswith(one["batch_id"])] == [alone]
    return alone


async def test_a_dead_model_says_why_it_holds_its_batches(lab: Lab) -> None:
    lane, until = lane_of("local-facts"), lab.clock.now() + timedelta(minutes=1)
    await lab.services.store.open_lane(lane, until, "http://models/v1 could not be reached")
    made = await lab.create("hello", "hello")
    path = f"{BATCHES}/{made['batch_id']}"
    found = await held(lab, path)
    assert (found["code"], "http://models/v1 could not be reached" in found["message"]) == ("model_down", True)
    assert found["since"] <= convert.time(lab.clock.now())
    with real_httpx.Client() as http:
        sdk = TwelveLabs(api_key=lab.secrets["operate"], base_url=f"{lab.url}/v1.3", httpx_client=http)
        parsed = await asyncio.to_thread(sdk.analyze_async.batches.retrieve, made["batch_id"])
    assert (parsed.status, parsed.queued_items) == ("pending", 2)
    shown = await command(lab, "show", made["batch_id"])
    assert "Held back: The model takes nothing now: http://models/v1 could not be reached" in shown.stdout
    assert "held back: model_down" in (await command(lab, "list", "--videos")).stdout
    assert "covey list --videos" in (await command(lab, "list")).stderr
    await lab.services.store.open_lane(lane, until, "model_down")
    assert "cannot be reached" in (await held(lab, path))["message"]
    await lab.client.post(f"{path}/pause")
    assert (await held(lab, path))["code"] == "paused"
    await lab.client.post(f"{path}/resume")
    await lab.services.store.close_lane(lane)
    lab.services.hints.work(lane)
    assert (await lab.until(path, "completed"))["holding"] is None


async def test_a_full_model_and_a_budget_in_hand_hold_back(lab: Lab) -> None:
    made = await lab.create(*["hold"] * 5)
    path = f"{BATCHES}/{made['batch_id']}"
    await lab.echo.holding(4)
    assert (await held(lab, path))["message"] == "All 4 places of the model are taken"
    release(lab)
    await lab.echo.holding(1)
    release(lab)
    await lab.until(path, "completed")
    workspace = await lab.services.store.workspace("ws-one")
    await lab.services.store.change_workspace(replace(workspace, settings={"prices": {"analysis": {"perItem": "1"}}}))
    path = f"{BATCHES}/{(await lab.create('hold', 'hold', max_cost='1'))['batch_id']}"
    await lab.echo.holding(1)
    assert (await held(lab, path))["code"] == "budget_reserved"
    release(lab)
    await lab.until(path, "canceled")


def release(lab: Lab) -> None:
    """Let everything that is held go on."""
    going, lab.echo.go = lab.echo.go, asyncio.Event()
    going.set()


async def test_a_batch_is_paused_and_goes_on(lab: Lab) -> None:
    made = await lab.create(*["hold"] * 5)
    path = f"{BATCHES}/{made['batch_id']}"
    await lab.echo.holding(4)
    for _ in range(2):
        answer = await lab.client.post(f"{path}/pause", headers={"idempotency-key": "pause"})
        assert answer.status_code == 200, answer.text
        assert (answer.json()["paused"], answer.json()["status"]) == (True, "processing")
    release(lab)
    async with patience():
        while (found := (await lab.client.get(path)).json())["ready_items"] < 4:
            await asyncio.sleep(0.01)
    assert (found["paused"], found["queued_items"], found["processing_items"]) == (True, 1, 0)
    listed = (await lab.client.get(BATCHES)).json()["data"]
    assert [one["paused"] for one in listed] == [True]
    for _ in range(2):
        answer = await lab.client.post(f"{path}/resume")
        assert (answer.status_code, answer.json()["paused"]) == (200, False)
        await lab.echo.holding(1)
    release(lab)
    await lab.until(path, "completed")
    for word in ("pause", "resume"):
        answer = await lab.client.post(f"{path}/{word}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "batch_completed")
        answer = await lab.client.post(f"{BATCHES}/{'0' * 24}/{word}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_not_exist")


@pytest.mark.parametrize(("reason", "word"), [(StopReason.cancel, "canceled"), (StopReason.expire, "expired")])
async def test_a_stopped_batch_cannot_be_turned(lab: Lab, reason: StopReason, word: str) -> None:
    made = await lab.create("hold")
    await lab.echo.holding(1)
    await lab.services.store.stop("ws-one", made["batch_id"], reason)
    for ended in (False, True):
        for turn in ("pause", "resume"):
            answer = await lab.client.post(f"{BATCHES}/{made['batch_id']}/{turn}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, f"batch_{word}")
        if not ended:
            release(lab)
            found = await lab.until(f"{BATCHES}/{made['batch_id']}", word)
            assert found["paused"] is False


async def command(lab: Lab, *args: str) -> Result:
    """A command of the command line against this server."""
    env = {"COVEY_URL": lab.url, "COVEY_API_KEY": lab.secrets["operate"], "COVEY_WORKSPACE": "ws-one", "NO_COLOR": "1"}
    return await asyncio.to_thread(CliRunner().invoke, app, list(args), env=env)


async def test_the_command_line_pauses_videos_too(lab: Lab) -> None:
    batch = (await lab.create("hold"))["batch_id"]
    await lab.echo.holding(1)
    paused = await command(lab, "pause", batch)
    assert paused.exit_code == Exit.ok, paused.stderr
    assert "paused: 0 completed" in paused.stdout
    assert "paused" in (await command(lab, "show", batch)).stdout
    resumed = await command(lab, "resume", batch)
    assert "processing: 0 completed" in resumed.stdout
    release(lab)
    await lab.until(f"{BATCHES}/{batch}", "completed")
    assert (await command(lab, "pause", batch)).exit_code == Exit.conflict


async def test_a_caller_who_comes_back_is_analysed_anew(lab: Lab) -> None:
    video = {"type": "asset_id", "asset_id": lab.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "hold", "stream": False}
    headers = {"x-api-key": lab.secrets["operate"], "idempotency-key": "again"}
    async with httpx.AsyncClient(base_url=lab.url, headers=headers) as client:
        left = asyncio.create_task(client.post("/v1.3/analyze", json=body))
        await lab.echo.holding(1)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
    await lab.echo.holding(0)
    async with httpx.AsyncClient(base_url=lab.url, headers=headers) as client:
        back = asyncio.create_task(_accepted(client, body))
        await lab.echo.holding(1)
        release(lab)
        answer = await back
        assert (answer.status_code, answer.json()["data"]) == (200, "hold"), answer.text
        assert "idempotency-replayed" not in answer.headers
        again = await client.post("/v1.3/analyze", json=body)
        assert (again.json(), again.headers["idempotency-replayed"]) == (answer.json(), "true")
    tasks = (await lab.client.get(TASKS)).json()["data"]
    assert [one["status"] for one in tasks] == ["ready", "canceled"]


async def _accepted(client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    """The answer, once the first request has written down that it is over."""
    async with patience():
        while (answer := await client.post("/v1.3/analyze", json=body)).status_code == 409:
            await asyncio.sleep(0.01)
    return answer


async def test_a_delete_never_ends_what_has_started(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task is claimed after the delete has looked at it, and before it is stopped."""
    await lab.create(*["hold"] * 4)
    await lab.echo.holding(4)
    video = {"type": "asset_id", "asset_id": lab.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "hold"}
    task = (await lab.client.post(TASKS, json=body)).json()["task_id"]
    stop = lab.services.store.stop

    async def late(*args: Any, **more: Any) -> Any:
        release(lab)
        await lab.echo.holding(0)
        await lab.echo.holding(1)
        return await stop(*args, **more)

    monkeypatch.setattr(lab.services.store, "stop", late)
    answer = await lab.client.delete(f"{TASKS}/{task}")
    assert (answer.status_code, answer.json()["code"]) == (409, "task_processing")
    monkeypatch.undo()
    answer = await lab.client.delete(f"{TASKS}/{task}")
    assert (answer.status_code, answer.json()["code"]) == (409, "task_processing")
    release(lab)
    found = await lab.until(f"{TASKS}/{task}", "ready", "canceled")
    assert (found["status"], found["result"]["data"]) == ("ready", "hold")
    assert (await lab.client.delete(f"{TASKS}/{task}")).status_code == 204


async def test_a_queued_task_is_deleted(lab: Lab) -> None:
    await lab.create(*["hold"] * 4)
    await lab.echo.holding(4)
    video = {"type": "asset_id", "asset_id": lab.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "hold"}
    task = (await lab.client.post(TASKS, json=body)).json()["task_id"]
    assert (await lab.client.delete(f"{TASKS}/{task}")).status_code == 204
    assert (await lab.client.get(f"{TASKS}/{task}")).status_code == 404
