"""Whatever fetches an address that a client gave, it never reaches this machine: not by a name whose address changes
between two looks, not by a name with two addresses, not by a redirect."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from covey.analysis.backend import Refused
from covey.api.webhooks.routes import sender_of
from covey.domain.webhook import ENDED_EVENTS
from covey.engine.deliveries import Deliveries
from covey.fetch import Fetcher
from covey.settings import Fetch
from tests.api.harness import succeeded
from tests.api.twelvelabs.asset_api import AssetApi, open_asset_api
from tests.fetch.receivers import ALLOWED, Receiver, says, serving
from tests.patience import patience

INSIDE = "127.0.0.1"
"""What must never be asked; ALLOWED stands for the public internet."""

HOOKS = "/v1/api/webhooks"


@dataclass
class Names:
    """A name server: each look at `hook.test` gets the next answer, the last one is for all that follow."""

    answers: list[tuple[str, ...]]
    looks: int = 0

    async def __call__(self, host: str, _: int) -> Sequence[str]:
        if host == "inside.test":
            return (INSIDE,)
        assert host == "hook.test"
        self.looks += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def an_asset(asset_api: AssetApi, url: str) -> str:
    """An asset by URL."""
    answer = await asset_api.client.post("/v1.3/assets", files={"method": (None, "url"), "url": (None, url)})
    assert answer.status_code == 201, answer.text
    return str((await asset_api.looked_at(answer.json()["_id"]))["error"]["message"])


async def a_video(asset_api: AssetApi, url: str) -> str:
    """The video of an item, fetched when its turn comes."""
    return (await asset_api.intake.fetched_asset("ws-one", url)).error or ""


async def a_media_source(asset_api: AssetApi, url: str) -> str:
    """An image that a prompt names."""
    with pytest.raises(Refused) as refused:
        await asset_api.intake.image("ws-one", {"name": "logo", "url": url})
    return str(refused.value)


@asynccontextmanager
async def deliveries(asset_api: AssetApi) -> AsyncIterator[Deliveries]:
    """The loop that sends them, over the shelf's fetcher."""
    services = replace(asset_api.api.services, fetcher=asset_api.intake._fetcher)
    loop = Deliveries(services.store, asset_api.api.clock, sender_of(services), timedelta(seconds=20))
    yield loop
    await loop.stop()


async def told(asset_api: AssetApi, batch: str) -> str:
    """What the second try to deliver the end of a batch came to."""
    async with deliveries(asset_api) as loop, patience():
        for _ in range(2):
            await loop.round()
            while loop.on_their_way:
                await asyncio.sleep(0.01)
                await loop.round()
            asset_api.api.clock.ahead += timedelta(minutes=1)
    [delivery] = await asset_api.api.services.store.deliveries("ws-one", batch=batch)
    assert delivery.attempts == 2
    return delivery.error or ""


async def a_callback_url(asset_api: AssetApi, url: str) -> str:
    """Where a single call's end is told."""
    agent = await asset_api.api.agent(greeting="Hello")
    body = {"to": "+12125550101", "call_agent_id": agent, "callback_url": url}
    answer = await asset_api.client.post("/v1/api/call", json=body)
    assert answer.status_code == 200, answer.text
    [taken] = await asset_api.api.claim(1)
    await asset_api.api.finish(taken, succeeded())
    return await told(asset_api, taken[0].batch)


async def a_webhook(asset_api: AssetApi, url: str) -> str:
    """An endpoint of the workspace."""
    answer = await asset_api.client.post(HOOKS, json={"url": url, "events": list(ENDED_EVENTS)})
    assert answer.status_code == 200, answer.text
    await asset_api.api.planted()
    batch = ""
    for taken in await asset_api.api.claim(3):
        batch = taken[0].batch
        await asset_api.api.finish(taken, succeeded())
    return await told(asset_api, batch)


Use = Callable[[AssetApi, str], Awaitable[str]]
USES: tuple[Use, ...] = (an_asset, a_video, a_media_source, a_callback_url, a_webhook)
TOLD = {a_callback_url, a_webhook}
NOT_PUBLIC = "leads to an address that is not on the public internet"


@asynccontextmanager
async def the_world(location: str) -> AsyncIterator[tuple[int, Receiver]]:
    """Somebody outside who sends everybody on to `location`, and what listens inside on the same port."""
    canary = Receiver(0)

    async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        canary.heads.append("somebody came")
        writer.close()

    async def send_on(head: str, writer: asyncio.StreamWriter) -> None:
        await says("307 Go", location=location.format(port=port))(head, writer)

    port = 0
    async with AsyncExitStack() as stack:
        server: asyncio.Server | None = None
        while server is None:
            there = await stack.enter_async_context(serving(send_on))
            port = there.port
            with suppress(OSError):  # somebody else has that port of the inside address
                server = await asyncio.start_server(count, INSIDE, port)
        try:
            yield port, canary
            assert there.heads, "nobody outside was asked"
        finally:
            server.close()
            await server.wait_closed()


async def asked(tmp_path: Path, use: Use, answers: list[tuple[str, ...]], location: str) -> tuple[str, Names]:
    """What the user of this world is told; nobody came to what listens inside."""
    names, fetch = Names(answers), Fetch(allow=(ip_network(f"{ALLOWED}/32"),))
    async with (
        the_world(location) as (port, canary),
        open_asset_api(tmp_path, fetch, Fetcher(fetch, names)) as asset_api,
    ):
        sentence = await use(asset_api, f"http://hook.test:{port}/a.mp4?token=private")
    assert canary.heads == []
    assert "private" not in sentence
    return sentence, names


@pytest.mark.parametrize("use", USES)
async def test_a_name_that_leads_inside_at_the_second_look(tmp_path: Path, use: Use) -> None:
    """A download looks again for the redirect to the same name, a delivery for its second try."""
    sentence, names = await asked(tmp_path, use, [(ALLOWED,), (INSIDE,)], "http://hook.test:{port}/again")
    assert f"hook.test {NOT_PUBLIC}" in sentence
    assert names.looks == 2


@pytest.mark.parametrize("use", USES)
async def test_a_name_that_leads_inside_too(tmp_path: Path, use: Use) -> None:
    both = (ALLOWED, INSIDE)
    sentence, _ = await asked(tmp_path, use, [(ALLOWED,), both], "http://hook.test:{port}/again")
    assert f"hook.test {NOT_PUBLIC}" in sentence


@pytest.mark.parametrize("where", [INSIDE, "inside.test"])
@pytest.mark.parametrize("use", USES)
async def test_a_redirect_that_leads_inside(tmp_path: Path, use: Use, where: str) -> None:
    sentence, _ = await asked(tmp_path, use, [(ALLOWED,)], f"http://{where}:{{port}}/latest/meta-data")
    if use in TOLD:
        assert "a redirect, which is not followed" in sentence
    else:
        assert "not on the public internet" in sentence
