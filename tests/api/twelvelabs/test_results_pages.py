"""Results are read in pages that are small where answers are large."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from covey.api.twelvelabs import batches
from covey.domain.item import Item
from covey.engine.runner import Outcome, Run, Succeeded
from tests.api.twelvelabs.analysis_api import AnalysisApi, open_analysis_api

BATCHES = "/v1.3/analyze/batches"
LARGE = batches.PAGE_BYTES // 4
FITTING = 3
"""So many large answers fit into a page: each is a little larger than its text."""


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AnalysisApi]:
    """A lab in which a prompt that begins with `large` has an answer of a quarter of a page."""
    async with open_analysis_api(tmp_path) as opened:
        echo = opened.echo.run

        async def run(run: Run) -> Outcome:
            outcome = await echo(run)
            assert isinstance(outcome, Succeeded)
            text = outcome.result["data"]
            data = text.ljust(LARGE, ".") if text.startswith("large") else text
            return replace(outcome, result={**outcome.result, "data": data})

        monkeypatch.setattr(opened.echo, "run", run)
        yield opened


@pytest.fixture
def pages(api: AnalysisApi, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int]]]:
    """What the store is asked for: how many items, and the length of each answer that it gave."""
    asked: list[tuple[int, list[int]]] = []
    items = api.services.store.items

    async def counted(batch: str, *more: Any, limit: int, **how: Any) -> tuple[Any, list[Item]]:
        now, found = await items(batch, *more, limit=limit, **how)
        asked.append((limit, [len(item.last.result["data"]) for item in found if item.last is not None]))
        return now, found

    monkeypatch.setattr(api.services.store, "items", counted)
    return asked


async def read(api: AnalysisApi, prompts: list[str], pages: list[tuple[int, list[int]]]) -> list[str]:
    """The answers of a batch of these prompts, by its results; `pages` are those of the results alone."""
    made = await api.create(*prompts)
    path = f"{BATCHES}/{made['batch_id']}"
    await api.until(path, "completed")
    pages.clear()
    lines = (await api.client.get(f"{path}/results")).text.splitlines()
    found = [orjson.loads(line) for line in lines]
    assert [one["task_id"] for one in found] == [item["task_id"] for item in made["items"]]
    return [one["data"]["data"] for one in found]


async def test_large_answers_are_read_a_few_at_a_time(api: AnalysisApi, pages: list[tuple[int, list[int]]]) -> None:
    prompts = [f"large {number}" for number in range(20)]
    answers = await read(api, prompts, pages)
    assert [answer.rstrip(".") for answer in answers] == prompts
    assert {len(answer) for answer in answers} == {LARGE}
    assert [limit for limit, _ in pages[1:]] == [FITTING] * (len(pages) - 1)
    assert all(sum(lengths) <= batches.PAGE_BYTES for _, lengths in pages)


async def test_pages_grow_while_answers_are_small_and_shrink_where_they_are_large(
    api: AnalysisApi, pages: list[tuple[int, list[int]]]
) -> None:
    kinds = ["small"] * 80 + ["large"] * 40 + ["small"] * 100
    prompts = [f"{kind} {number}" for number, kind in enumerate(kinds)]
    assert [answer.rstrip(".") for answer in await read(api, prompts, pages)] == prompts
    limits = [limit for limit, _ in pages]
    assert limits[:4] == [4, 8, 16, batches.LONGEST_PAGE]
    assert max(limits) == limits[-1] == batches.LONGEST_PAGE
    for (_, before), (limit, _) in pairwise(pages):
        assert limit <= (FITTING if max(before) == LARGE else batches.LONGEST_PAGE)


async def test_what_is_larger_than_a_page_is_read_by_itself(
    api: AnalysisApi, pages: list[tuple[int, list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PAGE_BYTES", LARGE - 1)
    prompts = [f"large {number}" for number in range(8)]
    assert [answer.rstrip(".") for answer in await read(api, prompts, pages)] == prompts
    assert [limit for limit, _ in pages] == [batches.FIRST_PAGE, 1, 1, 1, 1, 1]
