"""Premium and satellite numbers are called on no trunk, whichever way they come in."""

from collections.abc import AsyncIterator

import pytest

from covey.calls.config import Row
from covey.domain.batch import NewBatch, NewItem
from covey.domain.ids import new_id
from tests.api.harness import BUSY, PREFIX, ApiHarness

NEVER = (("+19002345678", "premium_number"), ("+881612345678", "satellite_number"))


@pytest.mark.parametrize("trunk", ["demo", "simulated"])
async def test_in_a_list_and_as_a_single_call(api: ApiHarness, trunk: str) -> None:
    agent = await api.agent(greeting="Hello.")
    for number, code in NEVER:
        listed = await api.start(agent=agent, csv=f"phone_number\n{number}\n".encode(), trunk=trunk)
        assert listed.status_code == 400
        assert [row["code"] for row in listed.json()["invalidRows"]] == [code]
        body = {"to": number, "call_agent_id": agent, "trunk": trunk}
        single = await api.client.post("/v1/api/call", json=body)
        assert (single.status_code, single.json()["error"]) == (400, code)
    fiction = {"to": "+19005550142", "call_agent_id": agent, "trunk": trunk}
    assert (await api.client.post("/v1/api/call", json=fiction)).status_code == 200


async def test_in_a_retry_of_a_batch_that_an_earlier_version_took(api: ApiHarness) -> None:
    numbers = [NEVER[0][0], "+12125550101", NEVER[1][0]]
    batch = await _accepted(api, numbers)
    for taken in await api.claim(3, "simulated"):
        await api.finish(taken, BUSY)
    again = await api.client.post(f"{PREFIX}/{batch}/retry")
    assert (again.status_code, again.json()["totalCalls"]) == (200, 1)
    assert again.json()["warnings"] == ["2 premium or satellite numbers are left out"]
    calls = (await api.json(f"{PREFIX}/{again.json()['batchId']}/calls"))["calls"]
    assert [call["phone_number"] for call in calls] == ["+12125550101"]

    only = await _accepted(api, numbers[:1])
    for taken in await api.claim(1, "simulated"):
        await api.finish(taken, BUSY)
    nothing = await api.client.post(f"{PREFIX}/{only}/retry")
    assert nothing.status_code == 400


async def test_such_a_person_can_be_blocked_looked_up_and_erased(api: ApiHarness) -> None:
    number = NEVER[0][0]
    added = await api.client.post("/v1/api/dnc", json={"numbers": [number]})
    assert added.json() == {"added": 1, "known": 0, "duplicates": 0, "invalid": []}
    assert (await api.json(f"/v1/api/people/{number}"))["blocked"] is True
    assert (await api.client.delete(f"/v1/api/people/{number}")).status_code == 200


async def _accepted(api: ApiHarness, numbers: list[str]) -> str:
    now = api.clock.now()
    new = NewBatch(new_id(now), "ws-one", "calls", "simulated", b"{}", now, notes={"live": False})

    async def pieces() -> AsyncIterator[list[NewItem]]:
        yield [NewItem(Row(row=n, values={"phone_number": ref}).dump(), ref) for n, ref in enumerate(numbers, 2)]

    return f"batch_{(await api.services.submission.submit(new, pieces(), api.services.quota(True))).id}"
