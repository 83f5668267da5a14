"""Money through a real server on the simulated trunk: use adds up with the calls, no batch passes its `maxCost`."""

import asyncio
import csv
import io
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from benchmarks.serving import SHORT_AGENT, ServerProcess, demo_numbers, served, write_csv

from covey.client import CoveyClient, StartOptions
from covey.client.models import Batch
from covey.domain.clock import SystemClock
from covey.store.sqlite import SqliteStore

SETTINGS = (
    '[calls]\ndefault_trunk = "simulated"\n[trunks.simulated]\nkind = "simulated"\nspeed = 40.0\n'
    "channels = 40\ncalls_per_second = 400\n"
)
PRICES = {"calls": {"perItem": "0.01", "perSecond": "0.001"}}
ITEM, SECOND = 10_000, 1_000
"""The same in millionths."""

LONGEST = 60
RESERVED = Decimal("0.07")
"""A call of so many seconds costs so much at most."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server whose one workspace has prices."""
    async with served(tmp_path, SETTINGS) as running:
        await running.stop()
        store = SqliteStore(tmp_path / "data" / "covey.db", SystemClock())
        await store.open()
        [workspace] = await store.workspaces()
        await store.change_workspace(replace(workspace, settings={"prices": PRICES}))
        await store.close()
        await running.start()
        yield running


async def start(server: ServerProcess, covey: CoveyClient, rows: int, **options: Any) -> str:
    made = await covey.agents.create({**SHORT_AGENT, "longestSeconds": LONGEST})
    people = write_csv(server.folder / "people.csv", demo_numbers(rows))
    return (await covey.batches.start(people, made.id, StartOptions(**options))).batch_id


async def look_until(covey: CoveyClient, batch: str, ended: int | None = None) -> Batch:
    """Look until so many calls have ended, or all."""
    async with asyncio.timeout(60):
        while True:
            found = await covey.batches.get(batch)
            done = found.progress.completed + found.progress.failed
            if found.is_complete or (ended is not None and done >= ended):
                return found
            await asyncio.sleep(0.02)


async def test_use_adds_up_with_the_calls_after_kills_failures_retries_and_a_cancel(server: ServerProcess) -> None:
    again = {"enabled": True, "maxAttempts": 2, "gaps": [{"days": 0, "hours": 0.0003}]}
    async with server.client() as covey:
        batch = await start(server, covey, 2000, smart_callback=again)
    for ended in (60, 150):
        async with server.client() as covey:
            await look_until(covey, batch, ended)
        server.kill()
        await server.start()
    async with server.client() as covey:
        await look_until(covey, batch, 250)
        await covey.batches.cancel(batch)
        found = await look_until(covey, batch)
        exported = b"".join([piece async for piece in covey.batches.export(batch)]).decode("utf-8-sig")
        usage = await covey.usage.get(by=("batch",))
    calls = list(csv.DictReader(io.StringIO(exported)))
    good = [float(call["talk_seconds"]) for call in calls if call["status"] == "completed"]
    bad = {call["error_code"] for call in calls if call["status"] == "failed"}
    assert "outcome_unknown" in bad, "the kills met calls"
    assert found.progress.cancelled > 0
    [line] = usage["lines"]
    cost = sum(math.ceil(round(ITEM + SECOND * seconds, 6)) for seconds in good)
    assert line["items"] == len(good) == found.progress.completed
    assert line["seconds"] == pytest.approx(sum(good), abs=0.0006)
    assert Decimal(line["cost"]) * 1_000_000 == cost == Decimal(found.spent) * 1_000_000


async def test_the_most_is_never_passed_with_forty_active(server: ServerProcess) -> None:
    most = 50 * RESERVED
    busiest = 0
    async with server.client() as covey:
        batch = await start(server, covey, 2000, max_cost=str(most))
        async with asyncio.timeout(60):
            while not (found := await covey.batches.get(batch)).is_complete:
                busiest = max(busiest, found.progress.active)
                assert Decimal(found.spent) + found.progress.active * RESERVED <= most
        history = [event.event for event in await covey.batches.history(batch)]
    assert busiest == 40
    assert (found.status, Decimal(found.max_cost)) == ("cancelled", most)
    assert "money" in found.error
    assert "budget_reached" in history
    assert most - RESERVED < Decimal(found.spent) <= most
