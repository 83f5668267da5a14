"""`maxCost` on the wire, what it has cost, when it is deleted, and the settings behind them."""

from datetime import timedelta
from typing import Any

import pytest

from covey.analysis.storage import FilesUnavailable
from tests.api.harness import BUSY, PREFIX, ApiHarness, succeeded
from tests.api.prices import PRICES, settle


@pytest.mark.parametrize("text", ["0", "-1", "much", "1e3", "1.0000001", "0.0000001", "1" * 13])
async def test_amounts_that_are_none(api: ApiHarness, text: str) -> None:
    await settle(api, prices=PRICES)
    answer = await api.start(maxCost=text)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_amount")
    assert "maxCost" in answer.json()["message"]


async def test_without_prices_nothing_would_count(api: ApiHarness) -> None:
    answer = await api.start(maxCost="10")
    assert (answer.status_code, answer.json()["error"]) == (400, "no_prices")
    assert "prices.calls" in answer.json()["message"]


async def test_a_batch_stops_where_its_money_ends_and_says_so(api: ApiHarness) -> None:
    await settle(api, prices=PRICES)
    agent = await api.agent(longestSeconds=100)
    batch = await api.batch(agent=agent, maxCost="2.00", trunk="simulated")
    found = await api.json(f"{PREFIX}/{batch}")
    assert (found["maxCost"], found["spent"], found["deletesAt"]) == ("2", "0", None)
    [first] = await api.claim(3, "simulated")  # 0.5 + 100 * 0.01 is reserved for each
    await api.finish(first, succeeded())
    assert await api.claim(3, "simulated") == []
    found = await api.json(f"{PREFIX}/{batch}")
    assert (found["status"], found["spent"]) == ("cancelled", "0.92")
    assert "money" in found["error"]
    listed = (await api.json(PREFIX))["batches"][0]
    assert (listed["maxCost"], listed["spent"]) == ("2", "0.92")
    assert (await api.json(f"{PREFIX}/{batch}/status"))["spent"] == "0.92"


async def test_a_start_that_pays_for_nothing_warns(api: ApiHarness) -> None:
    await settle(api, prices=PRICES)
    answer = await api.start(maxCost="0.10", trunk="simulated")
    assert answer.status_code == 200
    assert "nothing will be started" in answer.json()["warnings"][-1]


async def test_a_single_call_has_a_most_too(api: ApiHarness) -> None:
    await settle(api, prices=PRICES)
    body = {"to": "+12125550101", "call_agent_id": await api.agent(greeting="Hello"), "maxCost": "7"}
    answer = await api.client.post("/v1/api/call", json=body)
    assert answer.status_code == 200, answer.text
    batch = f"batch_{answer.json()['call_id'].removeprefix('call_')[:18]}000000"
    assert (await api.json(f"{PREFIX}/{batch}"))["maxCost"] == "7"
    refused = await api.client.post("/v1/api/call", json={**body, "maxCost": "seven"})
    assert refused.status_code == 400


@pytest.mark.parametrize("days", [0, 36_501, 1.5, "week"])
async def test_retention_that_is_none(api: ApiHarness, days: Any) -> None:
    answer = await settle(api, retention_days=days)
    assert answer.status_code == 400
    assert "retention_days" in answer.json()["message"]


async def test_calls_are_deleted_so_many_days_after_their_end(api: ApiHarness) -> None:
    assert (await settle(api, retention_days=7)).status_code == 200
    batch = await api.batch(trunk="simulated")
    for taken in await api.claim(3, "simulated"):
        await api.finish(taken, BUSY)
    found = await api.json(f"{PREFIX}/{batch}")
    ended = found["progress"]["completedTime"]
    assert found["deletesAt"] == ended + timedelta(days=7) / timedelta(milliseconds=1)


async def test_what_is_no_database_is_not_called_one(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise FilesUnavailable

    assert api.services.intake is not None
    monkeypatch.setattr(api.services.intake, "delete", away)
    answer = await api.client.delete("/v1.3/assets/" + "6" * 24)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    error = answer.json()["error"]
    assert (error["code"], "assets lie" in error["message"]) == ("storage_unavailable", True)
