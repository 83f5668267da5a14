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
from tests.api.twelvelabs.lab import A_DAY, Lab, open_lab

BATCHES = "/v1.3/analyze/batches"
TASKS = "/v1.3/analyze/tasks"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path) as opened:
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
async def test_a_refusal_speaks_of_json_not_of_python(lab: Lab, change: dict[str, Any], said: str) -> None:
    answer = await lab.client.post(BATCHES, json=lab.body("hello", **change))
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, said)


async def test_an_image_in_the_place_of_the_video_is_refused_by_its_name(lab: Lab) -> None:
    with real_httpx.Client() as http:
        sdk = TwelveLabs(api_key=lab.secrets["operate"], base_url=f"{lab.url}/v1.3", httpx_client=http)
        image = [AnalyzeImageInput(name="one", asset_id=lab.asset)]
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
async def test_a_method_that_is_not_there_names_those_that_are(lab: Lab, method: str, path: str, allowed: str) -> None:
    answer = await lab.client.request(method, path, headers={"x-workspace-id": "ws-one"})
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert "method_not_allowed" in answer.text


@pytest.mark.parametrize(("change", "status", "code", "says"), REFUSED)
async def test_a_create_is_refused_as_a_whole(
    lab: Lab, change: dict[str, Any], status: int, code: str, says: str
) -> None:
    answer = await lab.client.post(BATCHES, json=lab.body("hello", **change))
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert says in error["message"]
    assert (await lab.client.get(BATCHES)).json()["page_info"]["total_results"] == 0


async def test_null_counts_as_absent(lab: Lab) -> None:
    video = {"type": "asset_id", "asset_id": lab.asset, "url": None}
    item = {"video": video, "custom_id": None, "prompt": {"input_text": "hello", "media_sources": None}}
    body = {"model_name": "local-facts", "analysis_mode": "general", "requests": [item], "defaults": None}
    answer = await lab.client.post(BATCHES, json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["items"][0]["custom_id"] is None


async def test_an_asset_of_another_workspace_is_not_there(lab: Lab) -> None:
    video = {"type": "asset_id", "asset_id": lab.foreign}
    body = lab.body("hello")
    body["requests"][0]["video"] = video
    answer = await lab.client.post(BATCHES, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_not_exist")


async def test_refusals_at_the_door_have_both_shapes(lab: Lab) -> None:
    answer = await lab.client.get(BATCHES, headers={"x-api-key": "covey_sk_nothing"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == answer.json()["code"] == "api_key_invalid"
    answer = await lab.client.post(BATCHES, json={}, headers={"x-api-key": lab.secrets["read"]})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == answer.json()["code"] == "api_not_allowed"


async def test_result_lines_are_ascii_and_each_ends(lab: Lab) -> None:
    made = await lab.create("süß 🎬", "fail", "long")
    await lab.until(f"{BATCHES}/{made['batch_id']}", "completed")
    answer = await lab.client.get(f"{BATCHES}/{made['batch_id']}/results")
    assert answer.headers["content-type"] == "application/jsonl"
    assert answer.content.isascii()
    assert answer.content.endswith(b"\n")
    lines = [orjson.loads(line) for line in answer.content.splitlines()]
    assert [line["task_id"] for line in lines] == [item["task_id"] for item in made["items"]]
    assert lines[0]["data"]["data"] == "süß 🎬"
    assert lines[1]["error"] == {"code": "video_file_broken", "message": "The video cannot be decoded"}
    assert "data" not in lines[1]
    assert lines[2]["data"]["finish_reason"] == "length"
    again = await lab.client.get(f"{BATCHES}/{made['batch_id']}/results")
    assert again.content == answer.content


async def test_a_create_with_a_key_is_done_once(lab: Lab) -> None:
    headers = {"idempotency-key": "one"}
    first = await lab.client.post(BATCHES, json=lab.body("hello"), headers=headers)
    second = await lab.client.post(BATCHES, json=lab.body("hello"), headers=headers)
    assert first.status_code == second.status_code == 201
    assert first.json()["batch_id"] == second.json()["batch_id"]
    other = await lab.client.post(BATCHES, json=lab.body("other"), headers=headers)
    assert other.status_code == 422


async def test_a_refusal_is_not_kept(lab: Lab) -> None:
    late = await lab.add()
    asset = await lab.services.store.asset("ws-one", late)
    body = lab.body("hello")
    body["requests"][0]["video"]["asset_id"] = lab.unready
    answer = await lab.client.post(BATCHES, json=body, headers={"idempotency-key": "two"})
    assert answer.json()["error"]["code"] == "asset_not_ready"
    ready = await lab.services.store.asset("ws-one", lab.unready)
    await lab.services.store.change_asset(type(ready)(**{**_fields(ready), "state": asset.state}))
    answer = await lab.client.post(BATCHES, json=body, headers={"idempotency-key": "two"})
    assert answer.status_code == 201, answer.text


async def _no_files(batch: str) -> None:
    """These batches have none."""


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).__slots__}


async def test_expiry_cancels_and_aborts(lab: Lab) -> None:
    made = await lab.create(*["hold"] * 6)
    await lab.echo.holding(4)
    lab.clock.ahead += A_DAY
    sweeper = Sweeper(lab.services.store, lab.clock, lab.services.hints, lab.services.worker, None, _no_files)
    await sweeper.round()
    found = await lab.until(f"{BATCHES}/{made['batch_id']}", "expired")
    assert (found["canceled_items"], found["ready_items"]) == (6, 0)
    assert "expired_at" in found
    codes = []
    for item in made["items"]:
        task = (await lab.client.get(f"{TASKS}/{item['task_id']}")).json()
        assert (task["status"], task["batch_id"]) == ("canceled", made["batch_id"])
        codes.append(task["error"]["code"])
    assert codes == ["batch_processing_timeout"] * 4 + ["batch_expired"] * 2


async def test_a_task_of_a_batch_ends_with_its_batch(lab: Lab) -> None:
    made = await lab.create("hello")
    await lab.until(f"{BATCHES}/{made['batch_id']}", "completed")
    task = f"{TASKS}/{made['items'][0]['task_id']}"
    for answer in (await lab.client.post(f"{task}/cancel"), await lab.client.delete(task)):
        assert (answer.status_code, answer.json()["code"]) == (409, "task_in_batch")


async def test_a_single_task_is_in_no_batch_list(lab: Lab) -> None:
    video = {"type": "asset_id", "asset_id": lab.asset}
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": schema}
    body = {"model_name": "local-facts", "video": video, "prompt": "x" * 40, "response_format": form, "custom_id": "c"}
    answer = await lab.client.post(TASKS, json=body)
    assert answer.status_code == 202, answer.text
    task = await lab.until(f"{TASKS}/{answer.json()['task_id']}", "ready")
    assert "batch_id" not in task
    assert task["request_params"]["prompt"] == "x" * 40
    assert task["request_params"]["response_format"] == form
    assert task["video_source"] == {"type": "asset_id", "asset_id": lab.asset, "system_metadata": {"duration": 60.0}}
    listed = (await lab.client.get(TASKS, params={"asset_id": lab.asset, "status": "ready"})).json()
    assert [one["task_id"] for one in listed["data"]] == [task["task_id"]]
    assert listed["data"][0]["request_params"]["prompt"] == "x" * 30
    assert listed["data"][0]["request_params"]["response_format"] == {"type": "json_schema"}
    assert (await lab.client.get(BATCHES)).json()["data"] == []
    assert (await lab.client.get(f"{BATCHES}/{task['task_id'][:18]}000000")).status_code == 404


async def test_tasks_are_paged_over_batches(lab: Lab) -> None:
    for _ in range(2):
        made = await lab.create("one", "fail", "three")
        await lab.until(f"{BATCHES}/{made['batch_id']}", "completed")
    seen: list[str] = []
    for page in range(1, 5):
        answer = (await lab.client.get(TASKS, params={"page": page, "page_limit": 2})).json()
        assert answer["page_info"]["total_results"] == 6
        seen += [one["task_id"] for one in answer["data"]]
    assert len(set(seen)) == len(seen) == 6
    failed = (await lab.client.get(TASKS, params={"status": "failed"})).json()
    assert failed["page_info"]["total_results"] == len(failed["data"]) == 2
    none = (await lab.client.get(TASKS, params={"analysis_mode": "time_based_metadata"})).json()
    assert none["page_info"]["total_results"] == 0


async def test_a_waited_for_analysis_that_fails_says_why(lab: Lab) -> None:
    video = {"type": "asset_id", "asset_id": lab.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "fail", "stream": False}
    answer = await lab.client.post("/v1.3/analyze", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "video_file_broken")


async def test_a_caller_who_leaves_ends_the_task(lab: Lab) -> None:
    video = {"type": "asset_id", "asset_id": lab.asset}
    body = {"model_name": "local-facts", "video": video, "prompt": "hold", "stream": True}
    headers = {"x-api-key": lab.secrets["operate"]}
    async with (
        httpx.AsyncClient(base_url=lab.url, headers=headers) as client,
        client.stream("POST", "/v1.3/analyze", json=body) as answer,
    ):
        lines = answer.aiter_lines()
        assert orjson.loads(await anext(lines))["event_type"] == "stream_start"
        await lab.echo.holding(1)
    await lab.echo.holding(0)
    task = (await lab.client.get(TASKS)).json()["data"][0]["task_id"]
    assert (await lab.until(f"{TASKS}/{task}", "canceled"))["error"]["code"] == "user_canceled"
