"""Call history over many batches."""

from datetime import timedelta
from typing import Any

import pytest

from covey.api.trillet import history
from tests.api.harness import BUSY, ApiHarness

PATH = "/v2/api/call-history"
ONE = b"phone_number,first_name\n+12125550101,Ann\n"


async def called(api: ApiHarness, batches: int) -> None:
    """So many batches of one call that ended, a second apart."""
    agent = await api.agent()
    for _ in range(batches):
        api.clock.ahead += timedelta(seconds=1)
        await api.planted(csv=ONE, agent=agent)
        [taken] = await api.claim(1)
        await api.finish(taken, BUSY)


async def test_pages_meet_without_gap(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_PAGE", 3)
    monkeypatch.setattr(history, "_ALL", 3)
    await called(api, 8)
    pages = [await api.client.get(PATH, params={"limit": "3", "page": str(n)}) for n in (1, 2, 3, 4)]
    found = [call["callId"] for page in pages for call in page.json()]
    assert len(found) == len(set(found)) == 8
    assert found == sorted(found, reverse=True)
    assert [page.headers["x-has-more"] for page in pages] == ["true", "true", "false", "false"]
    assert [int(page.headers["x-total-count"]) for page in pages] == [4, 7, 8, 8]
    assert (await api.json(f"{PATH}/metrics"))["totalCalls"] == 8
    assert len((await api.client.post(f"{PATH}/export-csv")).text.splitlines()) == 9


async def test_a_page_reads_no_more_than_it_shows(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_PAGE", 3)
    monkeypatch.setattr(history, "_ALL", 3)
    await called(api, 9)
    batches, asked = api.services.store.batches, list[Any]()

    async def counted(*args: Any, **named: Any) -> Any:
        asked.append(named)
        return await batches(*args, **named)

    monkeypatch.setattr(api.services.store, "batches", counted)
    assert len(await api.json(PATH, limit="2")) == 2
    assert len(asked) == 1
    await api.json(f"{PATH}/metrics")
    assert all(not named.get("offset") for named in asked)
    asked.clear()
    since = (api.clock.now() + timedelta(hours=2)).isoformat()
    assert await api.json(PATH, dateRange=f'{{"from": "{since}"}}') == []
    assert len(asked) == 1
