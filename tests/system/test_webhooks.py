"""What a real server tells real receivers while it is killed again and again."""

import asyncio
import random
from collections import defaultdict
from pathlib import Path

import pytest
from benchmarks.kills import recounted
from benchmarks.serving import AGENT, ServerProcess, demo_numbers, write_csv
from benchmarks.webhooks import ENDED, ITEMS, Receiver
from standardwebhooks import Webhook

from covey.client import StartOptions
from covey.domain.clock import SystemClock
from covey.domain.webhook import BATCH_EVENTS, Delivery
from covey.store.sqlite import SqliteStore
from tests.patience import patience

SETTINGS = """
[calls]
default_trunk = "simulated"
[fetch]
allow = ["127.0.0.0/8"]
[webhooks]
timeout_seconds = 1.0
[trunks.simulated]
kind = "simulated"
speed = 20.0
channels = 40
calls_per_second = {pace}
"""


async def all_told(folder: Path, workspace: str) -> list[Delivery]:
    """Every delivery that the ended server's database holds."""
    store = SqliteStore(folder / "covey.db", SystemClock())
    await store.open()
    try:
        found = page = await store.deliveries(workspace, limit=500)
        while page:
            page = await store.deliveries(workspace, before=page[-1].id, limit=500)
            found = found + page
        return found
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("kills", "rows"),
    [(1, 100), pytest.param(5, 400, marks=pytest.mark.slow), pytest.param(60, 6000, marks=pytest.mark.soak)],
)
async def test_kills_lose_no_event_and_repeats_keep_their_id(tmp_path: Path, kills: int, rows: int) -> None:
    chance, server = random.Random(4), ServerProcess(tmp_path, SETTINGS.format(pace=120))
    async with Receiver().listening("127.0.0.1") as there:
        await server.start()
        async with server.client() as covey:
            made = await covey.webhooks.create(there.url, [*ITEMS, *BATCH_EVENTS])
            agent = await covey.agents.create(AGENT)
            people = write_csv(tmp_path / "people.csv", demo_numbers(rows))
            batch = (await covey.batches.start(people, agent.id, StartOptions())).batch_id
            workspace = covey.profile.workspace
        for _ in range(kills):
            before = len(there.got)
            async with patience():
                while len(there.got) == before and not ENDED & {got.type for got in there.got}:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(chance.uniform(0.0, 0.4))
            server.kill()
            await server.start()
        async with server.client() as covey, asyncio.timeout(40 + rows / 20):
            while await covey.webhooks.deliveries(made["id"], state="waiting", limit=1) or not ENDED & {
                got.type for got in there.got
            }:
                await asyncio.sleep(0.1)
            shown = (await covey.batches.get(batch)).progress
        await server.stop()
    codes, wrong = await recounted(tmp_path / "data" / "covey.db")
    assert wrong == []
    told = await all_told(tmp_path / "data", workspace)
    assert {one.id for one in told} == {got.id.removeprefix("msg_") for got in there.got}
    assert len(told) == len({(one.type, one.seq, one.at) for one in told})

    ids = defaultdict(set)
    for got in there.got:
        Webhook(made["secret"]).verify(got.body, got.headers)
        if got.call is not None:
            ids[got.call, got.type].add(got.id)
    assert {len(each) for each in ids.values()} == {1}
    assert len({call for call, _ in ids}) == rows
    succeeded = sum(1 for _, type_ in ids if type_ == "item.succeeded")
    assert (succeeded, rows - succeeded) == (shown.completed, shown.failed)
    assert sum(codes.values()) == rows
    [end] = {got.id: got for got in there.got if got.type in ENDED}.values()
    assert (end.type, Webhook(made["secret"]).verify(end.body, end.headers)["data"]["counts"]["succeeded"]) == (
        "batch.completed", succeeded,
    )  # fmt: skip
