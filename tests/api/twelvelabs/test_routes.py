"""Batches, tasks and the waited-for analysis over the wire: what the SDKs do not reach."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx as real_httpx
import httpx2 as httpx
import orjson
import pytest
from twelvelabs import TwelveLabs
from twelvelabs.errors import BadRequestError
from twelvelabs.types.analyze_image_input import AnalyzeImageInput

from covey.engine.sweeper import Sweeper
from tests.api.twelvelabs.analysis_api import A_DAY, AnalysisApi, open_analysis_api

BATCHES = "/v1.3/analyze/batches"
TASKS = "/v1.3/analyze/tasks"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[AnalysisApi]:
    async with open_analysis_api(tmp_path) as opened:
        yield opened


REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({"defaults": {"surprise": 1}}, 400, "parameter_unknown", "defaults.surprise"),
    ({"analysis_mode": None}, 400, "parameter_not_provided", "analysis_mode"),
    ({"analysis_mode": "other"}, 400, "parameter_invalid", "analysis_mode"),
    ({"model_name": "private"}, 400, "parameter_invalid", "local-facts, pegasus1.5"),
    ({"defaults": {"temperature": 1.1}}, 400, "parameter_invalid", "defaults.temperature"),
    ({"defaults": {"max_tokens": 511}}, 400, "parameter_invalid", "defaults.max_tokens"),
    ({"defaults": {"max_tokens": "4096"}}, 400, "parameter_invalid", "defaults.max_tokens"),
    ({"defaults": {"start_time": 5, "end_time": 5.5}}, 400, "parameter_invalid", "requests.0.end_time"),
    ({"defaults": {"min_segment_duration": 3}}, 400, "parameter_invalid", "defaults.min_segment_duration"),
    ({"analysis_mode": "time_based_metadata"}, 400, "parameter_invalid", "requests.0.prompt"),
    (
        {"defaults": {"response_format": {"type": "segment_definitions"}}},
        400,
        "parameter_invalid",
        "defaults.response_format.type",
    ),
    (
        {
            "defaults": {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}},
                }
            }
        },
        422,
        "parameter_invalid",
        "minLength",
    ),
]


SAID: list[tuple[dict[str, Any], str]] = [
    ({"defaults": {"prompt": "what?"}}, "defaults.prompt: expects an object"),
    ({"requests": []}, "requests: needs at least 1 entry"),
    ({"requests": {}}, "requests: expects a list"),
    (
        {"defaults": {"prompt": {"input_text": ""}}},
        "defaults.prompt.input_text: it is empty; give it a value or leave it out",
    ),
    ({"defaults": {"prompt": {"input_text": 7}}}, "defaults.prompt.input_text: expects a string"),
    ({"defaults": {"max_tokens": 511}}, "defaults.max_tokens: expects at least 512"),
    ({"defaults": {"max_tokens": "600"}}, "defaults.max_tokens: expects a whole number"),
    ({"defaults": {"temperature": "hot"}}, "defaults.temperature: expects a number"),
    ({"analysis_mode": "other"}, "analysis_mode: expects 'general' or 'time_based_metadata'"),
]


@pytest.mark.parametrize(("change", "said"), SAID)
async def test_a_refusal_speaks_of_json_not_of_python(api: AnalysisApi, change: dict[str, Any], said: str) -> None:
    answer = await api.client.post(BATCHES, json=api.body("hello", **change))
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, said)


async def test_an_image_in_the_place_of_the_video_is_refused_by_its_name(api: AnalysisApi) -> None:
    with real_httpx.Client() as http:
        sdk = TwelveLabs(api_key=api.secrets["operate"], base_url=f"{api.url}/v1.3", httpx_client=http)
        image = [AnalyzeImageInput(name="one", asset_id=api.asset)]
        for call in (sdk.analyze, sdk.analyze_async.tasks.create):
            with pytest.raises(BadRequestError) as error:
                await asyncio.to_thread(call, model_name="local-facts", image=image, prompt="what?")
            assert error.value.body["code"] == "parameter_invalid"
            assert error.value.body["message"].startswith("image: videos only")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", BATCHES, "GET, HEAD, POST"),
        ("POST", "/v1.3/assets/" + "0" * 24, "GET, HEAD, DELETE"),
        ("GET", "/v1.3/assets/" + "0" * 24 + "/user-metadata", "PUT, PATCH, DELETE"),
        ("PUT", "/v1/batch-calls", "GET, HEAD, POST"),
    ],
)
async def test_a_method_that_is_not_there_names_those_that_are(
    api: AnalysisApi, method: str, path: str, allowed: str
) -> None:
    answer = await api.client.request(method, path, headers={"x-workspace-id": "ws-one"})
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert "method_not_allowed" in answer.text


@pytest.mark.parametrize(("change", "status", "code", "says"), REFUSED)
async def test_a_create_is_refused_as_a_whole(
    api: AnalysisApi, change: dict[str, Any], status: int, code: str, says: str
) -> None:
    answer = await api.client.post(BATCHES, json=api.body("hello", **change))
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert says in error["message"]
    assert (await api.client.get(BATCHES)).json()["page_info"]["total_results"] == 0


async def test_null_counts_as_absent(api: AnalysisApi) -> None:
    video = {"type": "asset_id", "asset_id": api.asset, "url": None}
    item = {"video": video, "custom_id": None, "prompt": {"input_text": "hello", "media_sources": None}}
    body = {"model_name": "local-facts", "analysis_mode": "general", "requests": [item], "defaults": None}
    answer = await api.client.post(BATCHES, json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["items"][0]["custom_id"] is None


async def test_an_asset_of_another_workspace_is_not_there(api: AnalysisApi) -> None:
    video = {"type": "asset_id", "asset_id": api.foreign}
    body = api.body("hello")
    body["requests"][0]["video"] = video
    answer = await api.client.post(BATCHES, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_not_exist")


async def test_refusals_at_the_door_have_both_shapes(api: AnalysisApi) -> None:
    answer = await api.client.get(BATCHES, headers={"x-api-key": "covey_sk_nothing"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == answer.json()["code"] == "api_key_invalid"
    answer = await api.client.post(BATCHES, json={}, headers={"x-api-key": api.secrets["read"]})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == answer.json()["code"] == "api_not_allowed"


async def test_result_lines_are_ascii_and_each_ends(api: AnalysisApi) -> None:
    made = await api.create("süß 🎬", "fail", "long")
    await api.until(f"{BATCHES}/{made['batch_id']}", "completed")
    answer = await api.client.get(f"{BATCHES}/{made['batch_id']}/results")
    assert answer.headers["content-type"] == "application/jsonl"
    assert answer.content.isascii()
    assert answer.content.endswith(b"\n")
    lines = [orjson.loads(line) for line in answer.content.splitlines()]
    assert [line["task_id"] for line in lines] == [item["task_id"] for item in made["items"]]
    assert lines[0]["data"]["data"] == "süß 🎬"
    assert lines[1]["error"] == {"code": "video_file_broken", "message": "The video cannot be decoded"}
    assert "data" not in lines[1]
    assert lines[2]["data"]["finish_reason"] == "length"
    again = await api.client.get(f"{BATCHES}/{made['batch_id']}/results")
    assert again.content == answer.content


async def test_a_create_with_a_key_is_done_once(api: AnalysisApi) -> None:
    headers = {"idempotency-key": "one"}
    first = await api.client.post(BATCHES, json=api.body("hello"), headers=headers)
    second = await api.client.post(BATCHES, json=api.body("hello"), headers=headers)
    assert first.status_code == second.status_code == 201
    assert first.json()["batch_id"] == second.json()["batch_id"]
    other = await api.client.post(BATCHES, json=api.body("other"), headers=headers)
    assert other.status_code == 422


async def test_a_refusal_is_not_kept(api: AnalysisApi) -> None:
    late = await api.add()
    asset = await api.services.store.asset("ws-one", late)
    body = api.body("hello")
    body["requests"][0]["video"]["asset_id"] = api.unready
    answer = await api.client.post(BATCHES, json=body, headers={"idempotency-key": "two"})
    assert answer.json()["error"]["code"] == "asset_not_ready"
    ready = await api.services.store.asset("ws-one", api.unready)
    await api.services.store.change_asset(type(ready)(**{**_fields(ready), "state": asset.state}))
    answer = await api.client.post(BATCHES, json=body, headers={"idempotency-key": "two"})
    assert answer.status_code == 201, answer.text


async def _no_files(batch: str) -> None:
    """These batches have none."""


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).__slots__}


async def test_expiry_cancels_and_aborts(api: AnalysisApi) -> None:
    made = await api.create(*["hold"] * 6)
    await api.echo.holding(4)
    api.clock.ahead += A_DAY
    sweeper = Sweeper(api.services.store, api.clock, api.services.wakeups, api.services.worker, None, _no_files)
    await sweeper.round()
    found = await api.until(f"{BATCHES}/{made['batch_id']}", "expired")
    assert (found["canceled_items"], found["ready_items"]) == (6, 0)
    assert "expired_at" in found
    codes = []
    for item in made["items"]:
        task = (await api.client.get(f"{TASKS}/{item['task_id']}")).json()
        assert (task["status"], task["batch_id"]) == ("canceled", made["batch_id"])
        codes.append(task["error"]["code"])
    assert codes == ["batch_processing_timeout"] * 4 + ["batch_expired"] * 2


async def test_a_task_of_a_batch_ends_with_its_batch(api: AnalysisApi) -> None:
    made = await api.create("hello")
    await api.until(f"{BATCHES}/{made['batch_id']}", "completed")
    task = f"{TASKS}/{made['items'][0]['task_id']}"
    for answer in (await api.client.post(f"{task}/cancel"), await api.client.delete(task)):
        assert (answer.status_code, answer.json()["code"]) == (409, "task_in_batch")


async def test_a_single_task_is_in_no_batch_list(api: AnalysisApi) -> None:
    video = {"type": "asset_id", "asset_id": api.asset}
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": schema}
    body = {"model_name": "local-facts", "video": video, "prompt": "x" * 40, "response_format": form, "custom_id": "c"}
    answer = await api.client.post(TASKS, json=body)
    assert answer.status_code == 202, answer.text
    task = await api.until(f"{TASKS}/{answer.json()['task_id']}", "ready")
    assert "batch_id" not in task
    assert task["request_params"]["prompt"] == "x" * 40
    assert task["request_params"]["response_format"] == form
    assert task["video_source"] == {"type": "asset_id", "asset_id": api.asset, "system_metadata": {"duration": 60.0}}
    listed = (await api.client.get(TASKS, params={"asset_id": api.asset, "status": "ready"})).json()
    assert [one["task_id"] for one in listed["data"]] == [task["task_id"]]
    assert listed["data"][0]["request_params"]["prompt"] == "x" * 30
    assert listed["data"][0]["request_params"]["response_format"] == {"type": "json_schema"}
    assert (await api.client.get(BATCHES)).json()["data"] == []
    assert (await api.client.get(f"{BATCHES}/{task['task_id'][:18]}000000")).status_code == 404


async def test_tasks_are_paged_over_batches(api: AnalysisApi) -> None:
    for _ in range(2):
        made = await api.create("one", "fail", "three")
        await api.until(f"{BATCHES}/{made['batch_id']}", "completed")
    seen: list[str] = []
    for page in range(1, 5):
        answer = (await api.client.get(TASKS, params={"page": page, "page_limit": 2})).json()
        assert answer["page_info"]["total_results"] == 6
        seen += [one["task_id"] for one in answer["data"]]
    assert len(set(seen)) == len(seen) == 6
    failed = (await api.client.get(TASKS, params={"status": "failed"})).json()
    assert failed["page_info"]["total_results"] == len(failed["data"]) == 2
    none = (await api.client.get(TASKS, params={"analysis_mode": "time_based_metadata"})).json()
    assert none["page_info"]["total_results"] == 0


async def test_a_waited_for_analysis_that_fails_says_why(api: AnalysisApi) -> None:
    video = {"type": "asset_id", "asset_id": api.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "fail", "stream": False}
    answer = await api.client.post("/v1.3/analyze", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "video_file_broken")


async def test_a_caller_who_leaves_ends_the_task(api: AnalysisApi) -> None:
    video = {"type": "asset_id", "asset_id": api.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "hold", "stream": True}
    headers = {"x-api-key": api.secrets["operate"]}
    async with (
        httpx.AsyncClient(base_url=api.url, headers=headers) as client,
        client.stream("POST", "/v1.3/analyze", json=body) as answer,
    ):
        lines = answer.aiter_lines()
        assert orjson.loads(await anext(lines))["event_type"] == "stream_start"
        await api.echo.holding(1)
    await api.echo.holding(0)
    task = (await api.client.get(TASKS)).json()["data"][0]["task_id"]
    assert (await api.until(f"{TASKS}/{task}", "canceled"))["error"]["code"] == "user_canceled"
