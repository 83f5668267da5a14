"""A retry forgets no limit of its batch: its expiry, its width, its pace, and what is left of its money."""

from datetime import timedelta
from typing import Any

import httpx2 as httpx

from covey.engine.runner import Outcome
from tests.api.house import BUSY, PREFIX, House, succeeded
from tests.api.prices import PRICES, settle

LANE = "simulated"
AGENT = {"longestSeconds": 100}
"""A call costs 1.5 at most, and 0.92 if it went well."""


async def ended(house: House, **fields: Any) -> str:
    """A batch whose first call went well; the other two were busy."""
    batch = await house.batch(agent=await house.agent(**AGENT), trunk=LANE, **fields)
    outcomes: list[Outcome] = [succeeded(), BUSY, BUSY]
    while taken := await house.claim(3, LANE):
        for one in taken:
            await house.finish(one, outcomes.pop(0))
    assert not outcomes
    return batch


async def again(house: House, batch: str, **body: Any) -> httpx.Response:
    return await house.client.post(f"{PREFIX}/{batch}/retry", json={"allowDuplicate": True, **body})


async def shown(house: House, answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return await house.json(f"{PREFIX}/{answer.json()['batchId']}")


async def refused(house: House, batch: str, **body: Any) -> tuple[int, str]:
    """Status and code of a retry that starts nothing."""
    before = (await house.json(PREFIX))["pagination"]["total"]
    answer = await again(house, batch, **body)
    assert (await house.json(PREFIX))["pagination"]["total"] == before
    return answer.status_code, answer.json()["error"]


async def test_what_is_not_given_is_as_in_the_batch(house: House) -> None:
    await settle(house, prices=PRICES)
    expires = (house.clock.now() + timedelta(hours=2)).isoformat()
    batch = await ended(house, maxCost="10", maxConcurrent="2", expiresAt=expires)
    first = await house.json(f"{PREFIX}/{batch}")
    found = await shown(house, await again(house, batch))
    assert (found["maxConcurrent"], found["expiresAt"]) == (2, first["expiresAt"])
    assert (first["spent"], found["maxCost"]) == ("0.92", "9.08")
    kept = await house.services.store.batch(found["id"].removeprefix("batch_"))
    assert kept.run_cost == 1_500_000, "what one of its calls may cost is reserved"
    changed = await house.client.patch(f"{PREFIX}/{found['id']}", json={"callsPerSecond": 1.5})
    assert changed.status_code == 200
    await house.client.delete(f"{PREFIX}/{found['id']}")
    slow = await shown(house, await again(house, found["id"], status="cancelled"))
    assert slow["callsPerSecond"] == 1.5


async def test_what_is_given_takes_its_place(house: House) -> None:
    await settle(house, prices=PRICES)
    soon, later = (house.clock.now() + timedelta(hours=hours) for hours in (2, 5))
    batch = await ended(house, maxCost="10", maxConcurrent="2", expiresAt=soon.isoformat())
    limits = {"maxConcurrent": 3, "callsPerSecond": 2.5, "maxCost": "7", "expiresAt": later.isoformat()}
    found = await shown(house, await again(house, batch, **limits))
    assert {name: found[name] for name in limits} == {**limits, "expiresAt": int(later.timestamp() * 1000)}
    warned = await again(house, batch, maxCost="0.10")
    assert "nothing will be started" in warned.json()["warnings"][0]
    for wrong in (
        {"maxCost": "much"},
        {"maxConcurrent": 0},
        {"callsPerSecond": "0"},
        {"expiresAt": "2020-01-01T00:00:00Z"},
    ):
        assert (await refused(house, batch, **wrong))[0] == 400, wrong


async def test_a_batch_without_limits_has_none_again(house: House) -> None:
    found = await shown(house, await again(house, await ended(house)))
    assert [found[name] for name in ("maxConcurrent", "callsPerSecond", "maxCost", "expiresAt")] == [None] * 4


async def test_an_expiry_that_is_over_is_to_be_given_anew(house: House) -> None:
    batch = await ended(house, expiresAt=(house.clock.now() + timedelta(hours=1)).isoformat())
    at = (house.clock.now() + timedelta(minutes=90)).isoformat()
    assert await refused(house, batch, scheduledAt=at) == (400, "expired")
    house.clock.ahead = timedelta(hours=2)
    assert await refused(house, batch) == (400, "expired")
    expires = (house.clock.now() + timedelta(hours=1)).isoformat()
    assert (await shown(house, await again(house, batch, expiresAt=expires)))["expiresAt"]


async def test_all_retries_of_a_batch_share_what_is_left_of_its_money(house: House) -> None:
    await settle(house, prices=PRICES)
    batch = await ended(house, maxCost="4")
    first = await shown(house, await again(house, batch))
    assert first["maxCost"] == "3.08"
    answer = await again(house, batch)
    assert (answer.status_code, answer.json()["error"]) == (409, "budget_reached")
    assert "0.08 is left" in answer.json()["message"], "two calls of the first retry may cost 3"
    more = await shown(house, await again(house, batch, maxCost="3"))
    for one in (first, more):
        await house.client.delete(f"{PREFIX}/{one['id']}")
    other = await shown(house, await again(house, first["id"], status="cancelled"))
    assert other["maxCost"] == "3.08", "the first retry spent nothing of it"
    assert await refused(house, batch) == (409, "budget_reached"), "its retry's retry may"
    await house.client.delete(f"{PREFIX}/{other['id']}")
    assert (await shown(house, await again(house, batch)))["maxCost"] == "3.08"


async def test_without_prices_a_most_is_not_dropped(house: House) -> None:
    await settle(house, prices=PRICES)
    batch = await ended(house, maxCost="10")
    await settle(house, prices=None)
    assert await refused(house, batch) == (400, "no_prices")
