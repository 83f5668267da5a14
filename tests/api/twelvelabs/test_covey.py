"""What is Covey's own in this API: money, progress, deletion; and the paths that no SDK example takes."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from covey.analysis.assets import Intake
from covey.analysis.media import Decoder
from covey.analysis.storage import AssetFiles
from covey.api.app import create_app, routes
from covey.domain.errors import Unavailable
from covey.settings import Analysis
from tests.api.twelvelabs import clips
from tests.api.twelvelabs.analysis_api import SECOND, AnalysisApi, open_analysis_api

BATCHES = "/v1.3/analyze/batches"
TASKS = "/v1.3/analyze/tasks"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[AnalysisApi]:
    async with open_analysis_api(tmp_path) as opened:
        yield opened


async def priced(api: AnalysisApi, **prices: str) -> None:
    workspace = await api.services.store.workspace("ws-one")
    await api.services.store.change_workspace(replace(workspace, settings={"prices": {"analysis": prices}}))


async def refused(api: AnalysisApi, **more: Any) -> str:
    answer = await api.client.post(BATCHES, json=api.body("hello", **more))
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"]["message"])


async def test_a_most_needs_prices_and_what_a_run_may_cost(api: AnalysisApi) -> None:
    assert "no prices" in await refused(api, max_cost="5")
    await priced(api, perTokenIn="0.001", perItem="1")
    assert "context_tokens" in await refused(api, max_cost="5", model_name=SECOND)
    assert "not an amount" in await refused(api, max_cost="five")
    await priced(api, perItem="1", perSecond="0.01")
    assert "1.5 does not pay for one item, which may cost 1.6" in await refused(api, max_cost="1.5")


async def test_a_batch_out_of_money_reads_canceled(api: AnalysisApi) -> None:
    await priced(api, perItem="1", perSecond="0.01")  # 1.6 is reserved for a minute, ten seconds cost 1.1
    made = await api.create(*["hello"] * 5, max_cost="3")
    found = await api.until(f"{BATCHES}/{made['batch_id']}", "canceled")
    assert (found["max_cost"], found["spent"]) == ("3", "2.2")
    assert (found["ready_items"], found["canceled_items"]) == (2, 3)
    task = (await api.client.get(f"{TASKS}/{made['items'][-1]['task_id']}")).json()
    assert (task["status"], "budget" in task["error"]["message"]) == ("canceled", True)
    assert found["deletes_at"] == task["deletes_at"] > found["created_at"]


async def test_progress_is_shown_while_it_is_processed(api: AnalysisApi) -> None:
    made = await api.create("hold")
    await api.echo.holding(1)
    task = f"{TASKS}/{made['items'][0]['task_id']}"
    assert "progress" not in (await api.client.get(task)).json()
    api.echo.runs[made["items"][0]["task_id"]].advance(12.5, 60.0)
    await api.worker.progress_round()
    assert (await api.client.get(task)).json()["progress"] == {"seconds_done": 12.5, "seconds": 60.0}
    await api.create("release")
    assert "progress" not in await api.until(task, "ready")


async def test_segments_come_and_go(api: AnalysisApi) -> None:
    form = {"type": "segment_definitions", "segment_definitions": [{"id": "scene", "description": "A scene"}]}
    video = {"type": "asset_id", "asset_id": api.asset}
    body = {
        "model_name": "local-facts",
        "analysis_mode": "time_based_metadata",
        "requests": [{"video": video}],
        "defaults": {"response_format": form},
    }
    answer = await api.client.post(BATCHES, json=body)
    assert answer.status_code == 201, answer.text
    done = await api.until(f"{BATCHES}/{answer.json()['batch_id']}", "completed")
    assert (done["analysis_mode"], done["ready_items"]) == ("time_based_metadata", 1)
    listed = (await api.client.get(BATCHES, params={"analysis_mode": "time_based_metadata"})).json()
    assert [one["batch_id"] for one in listed["data"]] == [done["batch_id"]]
    assert (await api.client.get(BATCHES, params={"analysis_mode": "general"})).json()["data"] == []
    task = (await api.client.get(f"{TASKS}/{answer.json()['items'][0]['task_id']}")).json()
    assert task["request_params"]["response_format"] == form


async def test_results_break_off_when_the_batch_is_deleted(api: AnalysisApi) -> None:
    prompt = {"input_text": "x" * 40_000}
    video = {"type": "asset_id", "asset_id": api.asset}
    body = api.body(defaults={"prompt": prompt}, requests=[{"video": video}] * 450)
    made = (await api.client.post(BATCHES, json=body)).json()
    path = f"{BATCHES}/{made['batch_id']}"
    await api.until(path, "completed")
    headers = {"x-api-key": api.secrets["operate"]}
    async with (
        httpx.AsyncClient(base_url=api.url, headers=headers) as reader,
        reader.stream("GET", f"{path}/results") as answer,
    ):
        lines = answer.aiter_lines()
        await anext(lines)
        assert (await api.client.delete(path)).status_code == 204
        with pytest.raises(httpx.RemoteProtocolError):
            [line async for line in lines]


async def test_a_database_that_fails_on_the_way_names_the_id(api: AnalysisApi, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> None:
        raise Unavailable("the connection to db.example.org is lost")

    video = {"type": "asset_id", "asset_id": api.asset}
    single = {"model_name": "local-facts", "video": video, "prompt": "hello"}
    accept = api.services.store.accept
    for path, body, name, other in (
        (BATCHES, api.body("hello"), "batch_id", BATCHES),
        (TASKS, single, "task_id", TASKS),
    ):
        monkeypatch.setattr(api.services.store, "accept", lost)
        answer = await api.client.post(path, json=body)
        monkeypatch.setattr(api.services.store, "accept", accept)
        assert answer.status_code == 503
        error = answer.json()["error"]
        assert error["details"][name] in error["message"]
        assert "example.org" not in answer.text
        assert (await api.client.get(f"{other}/{error['details'][name]}")).status_code == 404


async def test_a_video_inside_the_request(api: AnalysisApi, tmp_path: Path) -> None:
    files = AssetFiles(None, tmp_path / "assets", tmp_path / "spool-assets")
    settings = Analysis(sandbox="weak")
    decoder = Decoder(settings)
    services = api.services
    intake = Intake(services.store, files, decoder, services.fetcher, api.clock, settings, services.worker)
    app = create_app(replace(services, intake=intake), routes())
    encoded = base64.b64encode(clips.video(tmp_path / "clip.mp4")).decode()
    headers = {"x-api-key": api.secrets["operate"]}
    try:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://covey", headers=headers
        ) as client:
            video = {"type": "base64_string", "base64_string": encoded}
            body = {"model_name": "local-facts", "video": video, "prompt": "hello"}
            answer = await client.post(TASKS, json=body)
            assert answer.status_code == 202, answer.text
            task = await api.until(f"{TASKS}/{answer.json()['task_id']}", "ready")
            assert task["result"]["data"] == "hello"
            source = task["video_source"]
            assert encoded[:20] not in str(task)
            asset = await intake.ready_asset("ws-one", source["asset_id"])
            assert asset is not None
            assert asset.seconds == pytest.approx(2.0, abs=0.11)
            wrong = {**body, "video": {**video, "base64_string": "no base64!"}}
            answer = await client.post(TASKS, json=wrong)
            assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
    finally:
        await intake.close()
        await decoder.close()
        files.close()
