"""The status of a waited-for analysis that comes to no answer: whose fault it was."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from covey.analysis.config import ItemInput
from covey.engine.runner import Failed, Outcome, Run
from covey.engine.sweeper import Sweeper
from tests.api.twelvelabs.analysis_api import A_DAY, AnalysisApi, open_analysis_api
from tests.patience import patience

MODELS = Path(__file__).parents[3] / "docs" / "models.md"
LATE = {"model_timeout"}
ANSWERED_WRONGLY = {"invalid_model_output"}

OTHERS = {
    "analysis_not_installed": 500,
    "asset_unavailable": 400,
    "decoder_limit": 400,
    "decoder_not_isolated": 500,
    "internal_error": 500,
    "network_lost": 500,
    "no_room": 500,
    "no_video_track": 400,
    "outcome_unknown": 500,
    "parameter_invalid": 400,
    "provider_error": 500,
    "storage_unavailable": 500,
    "unsupported_by_local_facts": 400,
    "video_duration_too_long": 400,
    "video_file_broken": 400,
    "worker_lost": 500,
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[AnalysisApi]:
    async with open_analysis_api(tmp_path) as opened:
        yield opened


def statuses() -> dict[str, int]:
    """Codes of the table of faults, and those from elsewhere, with their statuses. A fault of one input alone is that
    input's; one that the model may have with every input is the model's."""
    table = MODELS.read_text().split("| the endpoint | what follows | code |\n")[1].split("\n\n")[0]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]
    found = dict(OTHERS)
    for _, follows, code in rows:
        if code:
            of_the_input = follows == "fails" and code not in ANSWERED_WRONGLY
            found[code] = 504 if code in LATE else 400 if of_the_input else 500
    return found


def single(api: AnalysisApi, prompt: str) -> dict[str, Any]:
    """A request that waits for its answer."""
    video = {"type": "asset_id", "asset_id": api.asset}
    return {"model_name": "local-facts", "video": video, "prompt": prompt, "stream": False}


async def test_each_code_has_the_status_of_whose_fault_it_is(api: AnalysisApi, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = statuses()
    assert {"model_error", "model_busy", "model_down", "model_key_refused", "max_tokens_too_small"} < codes.keys()

    async def failing(run: Run) -> Outcome:
        asked = ItemInput.load(run.input).wanted.prompt or {}
        return Failed(str(asked["input_text"]), "It came to nothing")

    async def status_of(code: str) -> int:
        answer = await api.client.post("/v1.3/analyze", json=single(api, code))
        fault = answer.json()["error"] if answer.status_code == 504 else answer.json()
        assert (fault["code"], fault["message"]) == (code, "It came to nothing")
        assert fault["details"]["task_id"]
        return answer.status_code

    monkeypatch.setattr(api.echo, "run", failing)
    got = await asyncio.gather(*map(status_of, codes))
    assert dict(zip(codes, got, strict=True)) == codes


async def test_a_task_that_expires_while_it_is_processed_is_a_504(api: AnalysisApi) -> None:
    waiting = asyncio.create_task(api.client.post("/v1.3/analyze", json=single(api, "hold")))
    await api.echo.holding(1)
    api.clock.ahead += A_DAY
    sweeper = Sweeper(api.services.store, api.clock, api.services.wakeups, api.services.worker, None, _no_files)
    await sweeper.round()
    async with patience():
        answer = await waiting
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "batch_processing_timeout")


async def _no_files(batch: str) -> None:
    """These batches have none."""


async def test_a_failed_analysis_is_done_anew_for_the_same_key(
    api: AnalysisApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(run: Run) -> Outcome:
        return Failed("model_error", "It failed")

    headers = {"idempotency-key": "once"}
    with monkeypatch.context() as broken:
        broken.setattr(api.echo, "run", failing)
        answer = await api.client.post("/v1.3/analyze", json=single(api, "hello"), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (500, "model_error")
    again = await api.client.post("/v1.3/analyze", json=single(api, "hello"), headers=headers)
    assert (again.status_code, again.json()["data"]) == (200, "hello")
