"""A retry forgets no limit of its batch: its expiry, its width, its pace, and what is left of its money."""

from datetime import timedelta
from typing import Any

import httpx2 as httpx

from covey.engine.runner import Outcome
from tests.api.harness import BUSY, PREFIX, ApiHarness, succeeded
from tests.api.prices import PRICES, settle

LANE = "simulated"
AGENT = {"longestSeconds": 100}
"""A call costs 1.5 at most, and 0.92 if it went well."""


async def ended(api: ApiHarness, **fields: Any) -> str:
    """A batch whose first call went well; the other two were busy."""
    batch = await api.batch(agent=await api.agent(**AGENT), trunk=LANE, **fields)
    outcomes: list[Outcome] = [succeeded(), BUSY, BUSY]
    while taken := await api.claim(3, LANE):
        for one in taken:
            await api.finish(one, outcomes.pop(0))
    assert not outcomes
    return batch


async def again(api: ApiHarness, batch: str, **body: Any) -> httpx.Response:
    return await api.client.post(f"{PREFIX}/{batch}/retry", json={"allowDuplicate": True, **body})


async def shown(api: ApiHarness, answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return await api.json(f"{PREFIX}/{answer.json()['batchId']}")


async def refused(api: ApiHarness, batch: str, **body: Any) -> tuple[int, str]:
    """Status and code of a retry that starts nothing."""
    before = (await api.json(PREFIX))["pagination"]["total"]
    answer = await again(api, batch, **body)
    assert (await api.json(PREFIX))["pagination"]["total"] == before
    return answer.status_code, answer.json()["error"]


async def test_what_is_not_given_is_as_in_the_batch(api: ApiHarness) -> None:
    await settle(api, prices=PRICES)
    expires = (api.clock.now() + timedelta(hours=2)).isoformat()
    batch = await ended(api, maxCost="10", maxConcurrent="2", expiresAt=expires)
    first = await api.json(f"{PREFIX}/{batch}")
    found = await shown(api, await again(api, batch))
    assert (found["maxConcurrent"], found["expiresAt"]) == (2, first["expiresAt"])
    assert (first["spent"], found["maxCost"]) == ("0.92", "9.08")
    kept = await api.services.store.batch(found["id"].removeprefix("batch_"))
    assert kept.run_cost == 1_500_000, "what one of its calls may cost is reserved"
    changed = await api.client.patch(f"{PREFIX}/{found['id']}", json={"callsPerSecond": 1.5})
    assert changed.status_code == 200
    await api.client.delete(f"{PREFIX}/{found['id']}")
    slow = await shown(api, await again(api, found["id"], status="cancelled"))
    assert slow["callsPerSecond"] == 1.5


async def test_what_is_given_takes_its_place(api: ApiHarness) -> None:
    await settle(api, prices=PRICES)
    soon, later = (api.clock.now() + timedelta(hours=hours) for hours in (2, 5))
    batch = await ended(api, maxCost="10", maxConcurrent="2", expiresAt=soon.isoformat())
    limits = {"maxConcurrent": 3, "callsPerSecond": 2.5, "maxCost": "7", "expiresAt": later.isoformat()}
    found = await shown(api, await again(api, batch, **limits))
    assert {name: found[name] for name in limits} == {**limits, "expiresAt": int(later.timestamp() * 1000)}
    warned = await again(api, batch, maxCost="0.10")
    assert "nothing will be started" in warned.json()["warnings"][0]
    for wrong in (
        {"maxCost": "much"},
        {"maxConcurrent": 0},
        {"callsPerSecond": "0"},
        {"expiresAt": "2020-01-01T00:00:00Z"},
    ):
        assert (await refused(api, batch, **wrong))[0] == 400, wrong


async def test_a_batch_without_limits_has_none_again(api: ApiHarness) -> None:
    found = await shown(api, await again(api, await ended(api)))
    assert [found[name] for name in ("maxConcurrent", "callsPerSecond", "maxCost", "expiresAt")] == [None] * 4


async def test_an_expiry_that_is_over_is_to_be_given_anew(api: ApiHarness) -> None:
    batch = await ended(api, expiresAt=(api.clock.now() + timedelta(hours=1)).isoformat())
    at = (api.clock.now() + timedelta(minutes=90)).isoformat()
    assert await refused(api, batch, scheduledAt=at) == (400, "expired")
    api.clock.ahead = timedelta(hours=2)
    assert await refused(api, batch) == (400, "expired")
    expires = (api.clock.now() + timedelta(hours=1)).isoformat()
    assert (await shown(api, await again(api, batch, expiresAt=expires)))["expiresAt"]


async def test_all_retries_of_a_batch_share_what_is_left_of_its_money(api: ApiHarness) -> None:
    await settle(api, prices=PRICES)
    batch = await ended(api, maxCost="4")
    first = await shown(api, await again(api, batch))
    assert first["maxCost"] == "3.08"
    answer = await again(api, batch)
    assert (answer.status_code, answer.json()["error"]) == (409, "budget_reached")
    assert "0.08 is left" in answer.json()["message"], "two calls of the first retry may cost 3"
    more = await shown(api, await again(api, batch, maxCost="3"))
    for one in (first, more):
        await api.client.delete(f"{PREFIX}/{one['id']}")
    other = await shown(api, await again(api, first["id"], status="cancelled"))
    assert other["maxCost"] == "3.08", "the first retry spent nothing of it"
    assert await refused(api, batch) == (409, "budget_reached"), "its retry's retry may"
    await api.client.delete(f"{PREFIX}/{other['id']}")
    assert (await shown(api, await again(api, batch)))["maxCost"] == "3.08"


async def test_without_prices_a_most_is_not_dropped(api: ApiHarness) -> None:
    await settle(api, prices=PRICES)
    batch = await ended(api, maxCost="10")
    await settle(api, prices=None)
    assert await refused(api, batch) == (400, "no_prices")
