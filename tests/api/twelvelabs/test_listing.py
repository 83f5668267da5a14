"""Lists of tasks and of batches: right pages and totals, and no more read for them than is shown."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from covey.domain.ids import item_id

from .analysis_api import SECOND, AnalysisApi, open_analysis_api

TASKS, BATCHES = "/v1.3/analyze/tasks", "/v1.3/analyze/batches"
SEGMENTS = {"type": "segment_definitions", "segment_definitions": [{"id": "scene", "description": "A scene"}]}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[AnalysisApi]:
    async with open_analysis_api(tmp_path) as opened:
        yield opened


async def ended(api: AnalysisApi, *prompts: str, **more: Any) -> str:
    """A batch's id, once it has ended."""
    ident = str((await api.create(*prompts, **more))["batch_id"])
    await api.until(f"{BATCHES}/{ident}", "completed")
    api.clock.ahead += timedelta(seconds=1)
    return ident


async def listed(api: AnalysisApi, path: str, **query: Any) -> tuple[list[Any], int]:
    """What a list shows, and how many it says that there are."""
    answer = await api.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"], answer.json()["page_info"]["total_results"]


async def pages(api: AnalysisApi, size: int, **query: Any) -> tuple[list[str], set[int]]:
    """The tasks of all pages of a list, and the totals that the pages say."""
    seen, totals, number = list[str](), set[int](), 1
    while True:
        data, total = await listed(api, TASKS, page=number, page_limit=size, **query)
        totals.add(total)
        if not data:
            return seen, totals
        seen += [task["task_id"] for task in data]
        number += 1


async def by_mode(api: AnalysisApi) -> tuple[list[str], list[str], list[str]]:
    """Three batches, the oldest first, as their tasks: the second is about segments, the last has one that failed."""
    old = await ended(api, "one", "two", "three")
    timed = await ended(api, analysis_mode="time_based_metadata", requests=[
        {"video": {"type": "asset_id", "asset_id": api.asset}, "response_format": SEGMENTS} for _ in range(2)
    ])  # fmt: skip
    new = await ended(api, "fail", "four")
    return [item_id(old, n) for n in range(3)], [item_id(timed, n) for n in range(2)], [item_id(new, n) for n in (0, 1)]


async def test_every_task_is_on_one_page_and_totals_are_right(api: AnalysisApi) -> None:
    old, timed, new = await by_mode(api)
    other = await api.add()
    about = {"asset_id": api.asset}
    for query in ({}, about):
        assert await pages(api, 3, **query) == (new + timed + old, {7})
        assert await pages(api, 2, status="ready", **query) == (new[1:] + timed + old, {6})
        assert await pages(api, 2, status="failed", **query) == (new[:1], {1})
        assert await pages(api, 2, status="queued", **query) == ([], {0})
        assert await pages(api, 2, analysis_mode="general", **query) == (new + old, {5})
        assert await pages(api, 1, analysis_mode="time_based_metadata", status="ready", **query) == (timed, {2})
    assert await pages(api, 2, asset_id=other) == ([], {0})
    assert await pages(api, 2, video_url="https://example.com/v.mp4", **about) == ([], {0})


async def test_batches_say_their_mode_and_model(api: AnalysisApi) -> None:
    await by_mode(api)
    await ended(api, "five", model_name=SECOND)
    single = await api.client.post(
        TASKS,
        json={"video": {"type": "asset_id", "asset_id": api.asset}, "prompt": "six", "model_name": "local-facts"},
    )
    assert single.status_code == 202, single.text
    data, total = await listed(api, BATCHES)
    assert [(batch["analysis_mode"], batch["model_name"]) for batch in data] == [
        ("general", SECOND),
        ("general", "local-facts"),
        ("time_based_metadata", "local-facts"),
        ("general", "local-facts"),
    ]
    assert total == 4
    data, total = await listed(api, BATCHES, analysis_mode="time_based_metadata")
    assert ([batch["analysis_mode"] for batch in data], total) == (["time_based_metadata"], 1)


async def test_tasks_of_a_list_show_what_their_batch_says_for_all(api: AnalysisApi) -> None:
    prompt = {"input_text": "What is to be seen in this video, from its begin to its end?"}
    ident = await ended(api, defaults={"prompt": prompt, "temperature": 0.5}, requests=[
        {"video": {"type": "asset_id", "asset_id": api.asset}, "custom_id": name} for name in "ab"
    ])  # fmt: skip
    for query in ({}, {"asset_id": api.asset}):
        data, _ = await listed(api, TASKS, **query)
        assert [(task["batch_id"], task["custom_id"]) for task in data] == [(ident, "a"), (ident, "b")]
        shown = data[0]["request_params"]
        assert shown["prompt_v2"] == {"input_text": prompt["input_text"][:30]}
        assert (shown["temperature"], shown["model_name"]) == (0.5, "local-facts")
