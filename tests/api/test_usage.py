"""What was used, and what it costs."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from covey.api.kit.money import money, prices_of
from covey.domain.account import Workspace
from covey.domain.clock import SystemClock
from covey.domain.usage import Units
from tests.api.harness import BUSY, ApiHarness, succeeded

USAGE = "/v1/api/usage"
PRICES = {"calls": {"perSecond": "0.002", "perItem": 0.01}, "analysis": {"perTokenIn": "0.0000001"}}


async def _priced(api: ApiHarness, prices: Any = PRICES) -> None:
    change = {"settings": {"prices": prices}}
    headers = api.headers("admin")
    answer = await api.client.patch("/v1/admin/workspaces/ws-one", json=change, headers=headers)
    assert answer.status_code == 200, answer.text


async def _called(api: ApiHarness) -> str:
    """A batch of three calls, of which one came to something."""
    batch = await api.batch(allowDuplicate="true")
    for taken in await api.claim(3):
        await api.finish(taken, BUSY if taken[1].seq else succeeded())
    return batch


async def test_what_succeeded_is_counted_and_nothing_else(api: ApiHarness) -> None:
    assert (await api.json(USAGE))["lines"] == []
    await _called(api)
    await _called(api)
    found = await api.json(USAGE)
    [line] = found["lines"]
    assert (line["kind"], line["items"], line["seconds"]) == ("calls", 2, 84.0)
    assert line["cost"] is None
    assert found["totals"] == found["lines"]
    assert found["since"].endswith("-01")


async def test_usage_is_told_apart(api: ApiHarness) -> None:
    first, second = await _called(api), await _called(api)
    found = await api.json(USAGE, by="day,batch,key")
    assert {line["batchId"] for line in found["lines"]} == {first, second}
    today = api.clock.now().date().isoformat()
    assert {line["day"] for line in found["lines"]} == {today}
    keys = await api.client.get("/v1/admin/keys", headers=api.headers("admin"))
    operate = next(key["id"] for key in keys.json() if key["name"] == "operate")
    assert {line["keyId"] for line in found["lines"]} == {operate}
    [total] = found["totals"]
    assert total["items"] == sum(line["items"] for line in found["lines"]) == 2
    assert set(total) == {"kind", "items", "seconds", "tokensIn", "tokensOut", "cost"}
    several = await api.client.get(USAGE, params=[("by", "day"), ("by", "batch")])
    assert all({"day", "batchId"} <= set(line) and "keyId" not in line for line in several.json()["lines"])


async def test_other_days_and_other_workspaces_are_not_counted(api: ApiHarness) -> None:
    await _called(api)
    tomorrow = (api.clock.now() + timedelta(days=1)).date().isoformat()
    assert (await api.json(USAGE, since=tomorrow, until=tomorrow))["lines"] == []
    other = await api.client.get(USAGE, headers=api.headers("other"))
    assert other.json()["lines"] == []


async def test_a_price_list_makes_money(api: ApiHarness) -> None:
    await _priced(api)
    await _called(api)
    [line] = (await api.json(USAGE))["lines"]
    assert Decimal(line["cost"]) == Decimal("0.01") + 42 * Decimal("0.002")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-07-02", "until": "2026-07-01"}, "until"),
        ({"by": "week"}, "day, batch, key"),
    ],
)
async def test_a_question_that_is_not_understood(api: ApiHarness, query: dict[str, str], says: str) -> None:
    answer = await api.client.get(USAGE, params=query)
    assert answer.status_code == 400
    assert says in answer.json()["message"]


@pytest.mark.parametrize(
    "prices",
    [{"calls": {"perSecond": -1}}, {"calls": {"perTokenIn": 1}}, {"calls": {"perItem": "much"}}, {"faxes": {}}],
)
async def test_prices_that_are_none(api: ApiHarness, prices: Any) -> None:
    headers = api.headers("admin")
    change = {"settings": {"prices": prices}}
    answer = await api.client.patch("/v1/admin/workspaces/ws-one", json=change, headers=headers)
    assert answer.status_code == 400
    assert "prices" in answer.json()["message"]


def test_prices_are_in_millionths() -> None:
    workspace = Workspace("ws", "ws", SystemClock().now(), settings={"prices": PRICES})
    assert prices_of(workspace, "calls").cost(Units(seconds=10)) == 30_000
    assert prices_of(workspace, "analysis").cost(Units(seconds=10, tokens_in=1_000_000)) == 100_000
    assert prices_of(workspace, "faxes").cost(Units(seconds=10)) == 0
    assert money(30_001) == "0.030001"
    assert money(0) == "0"
    assert money(123_000_000) == "123"
