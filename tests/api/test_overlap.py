"""A start says how many of its numbers are in other batches, too; so does a check of the list (contract 12.6)."""

from datetime import timedelta
from typing import Any

import pytest

from covey.api.trillet import overlap
from covey.domain.errors import Unavailable
from tests.api.harness import PREFIX, ApiHarness

ROW = "phone_number,first_name\n"
MORE = (ROW + "+12125550103,Cid\n+12125550104,Dan\n+12125550103,Cid\n").encode()
OTHERS = (ROW + "+12125550108,Eve\n").encode()


async def test_numbers_that_another_batch_calls_are_counted(api: ApiHarness) -> None:
    agent = await api.agent()
    plain = await api.start(agent=agent)
    assert "warnings" not in plain.json()
    first = plain.json()["batchId"]
    said = (
        "1 of the numbers is also in a batch on the trunk demo that has not ended or was accepted in the last 24 "
        f"hours, such as {first}: both call them"
    )
    report = (await api.start(agent=agent, csv=MORE, path=f"{PREFIX}/validate")).json()
    assert report["warnings"] == [said]
    started = (await api.start(agent=agent, csv=MORE)).json()
    assert started["warnings"] == [said]
    assert "warnings" not in (await api.start(agent=agent, csv=OTHERS)).json()
    meant = (await api.start(agent=agent, allowDuplicate="true")).json()
    assert meant["warnings"][0].startswith("3 of the numbers are also in a batch on the trunk demo")


async def test_a_dry_run_warns_nobody_and_after_a_day_what_ended_does_not(api: ApiHarness) -> None:
    agent = await api.agent()
    dry = await api.batch(agent=agent, trunk="simulated")
    real = await api.start(agent=agent)
    assert "warnings" not in real.json()
    for batch in (dry, real.json()["batchId"]):
        assert (await api.client.delete(f"{PREFIX}/{batch}")).status_code == 200
    api.clock.ahead = timedelta(hours=23)
    assert len((await api.start(agent=agent, csv=MORE, path=f"{PREFIX}/validate")).json()["warnings"]) == 1
    api.clock.ahead = timedelta(hours=25)
    assert (await api.start(agent=agent, csv=MORE, path=f"{PREFIX}/validate")).json()["warnings"] == []


async def test_a_look_whose_time_is_over_says_so_and_the_start_goes_on(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = await api.agent()
    await api.batch(agent=agent)
    monkeypatch.setattr(overlap, "SECONDS", 0.0)
    answer = await api.start(agent=agent, csv=MORE)
    assert answer.status_code == 200
    assert answer.json()["warnings"] == [
        "After 0 s only 0 of 3 rows were compared with other batches; none of their numbers is in a batch on the trunk "
        "demo that has not ended or was accepted in the last 24 hours"
    ]


async def test_what_was_found_until_then_is_said(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first piece is compared, then the database cannot answer in time."""
    agent = await api.agent()
    await api.batch(agent=agent)
    rows = ROW + "".join(f"+1212555010{n},Ann\n" for n in range(1, 9))
    monkeypatch.setattr(overlap, "PIECE", 4)
    elsewhere, looks = api.services.store.refs_elsewhere, list[object]()

    async def once(*given: Any) -> dict[str, str]:
        looks.append(given)
        if len(looks) > 1:
            raise Unavailable("a statement took longer than it may")
        return await elsewhere(*given)

    monkeypatch.setattr(api.services.store, "refs_elsewhere", once)
    answer = await api.start(agent=agent, csv=rows.encode())
    assert answer.json()["warnings"][0].startswith("At least 3 of the numbers are also in a batch")
