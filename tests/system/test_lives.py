"""A server's life and death, as its phones see it: drained, hurried, killed, and called back."""

import asyncio
import collections
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from benchmarks import cancels, kills
from benchmarks.serving import AGENT, SHORT_AGENT, Phones, ServerProcess, demo_numbers, demo_settings, served, write_csv

from covey.client import CoveyClient, StartOptions
from tests.patience import patience

CHANNELS = 40


@pytest.fixture
def phones(tmp_path: Path) -> Iterator[Phones]:
    """Demo phones that outlive the server."""
    running = Phones.start(tmp_path)
    yield running
    running.stop()


@pytest.fixture
async def server(tmp_path: Path, phones: Phones) -> AsyncIterator[ServerProcess]:
    """A server that calls them, forty at once and quickly so."""
    async with served(tmp_path, demo_settings(phones, CHANNELS, pace=20.0)) as running:
        yield running


async def start(server: ServerProcess, covey: CoveyClient, rows: int, agent: dict[str, object]) -> str:
    """A batch of people who all answer and say yes."""
    made = await covey.agents.create(agent)
    people = write_csv(server.folder / "people.csv", demo_numbers(rows, range(40)))
    return (await covey.batches.start(people, made.id, StartOptions())).batch_id


async def active(covey: CoveyClient, batch: str, phones: Phones, wanted: int) -> None:
    """Wait until so many phones were called and so many calls are active: those that wait for a trunk are, too."""
    async with patience():
        while sum(event["event"] == "invite" for event in phones.events()) < wanted:
            await asyncio.sleep(0.02)
        while (await covey.batches.get(batch)).progress.active < wanted:
            await asyncio.sleep(0.02)


async def outcomes(server: ServerProcess) -> dict[str, int]:
    """What the ended server's database says, its counts proven by recount."""
    codes, wrong = await kills.recounted(server.folder / "data" / "covey.db")
    assert [text for text in wrong if "has not ended" not in text] == []
    return codes


async def test_a_drain_lets_forty_calls_end_and_starts_no_more(server: ServerProcess, phones: Phones) -> None:
    async with server.client() as covey:
        batch = await start(server, covey, 200, SHORT_AGENT)
        await active(covey, batch, phones, CHANNELS)
        os.kill(server.pid, signal.SIGTERM)
        async with httpx2.AsyncClient() as http, patience():
            while (answer := await http.get(f"{server.url}/readyz")).status_code == 200:
                await asyncio.sleep(0.01)
        assert answer.status_code == 503
    assert server.process is not None
    assert await asyncio.to_thread(server.process.wait, 60) == 0
    codes = await outcomes(server)
    assert set(codes) == {"successful"}
    ended = [event for event in phones.events() if event["event"] == "ended"]
    assert len(ended) == codes["successful"] >= CHANNELS
    assert {event["ended_by"] for event in ended} == {"caller"}


async def test_a_second_signal_hangs_up_and_says_so(server: ServerProcess, phones: Phones) -> None:
    async with server.client() as covey:
        batch = await start(server, covey, 60, AGENT)
        await active(covey, batch, phones, CHANNELS)
    assert await server.stop(patience=20) == 0
    codes = await outcomes(server)
    assert codes["interrupted"] >= CHANNELS // 2
    assert set(codes) <= {"interrupted", "successful", "aborted"}
    open_dialogs = kills.live_calls(phones.events(), float("inf"))
    assert open_dialogs == []


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.slow)])
async def test_killed_servers_and_diallers_leave_no_phone_hanging_and_dial_nobody_twice(
    tmp_path: Path, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How fast everything goes on is the benchmark's; a busy machine is forgiven that, and some more seconds."""
    monkeypatch.setattr(kills, "GONE_SECONDS", 8.0)
    verdict = await kills.demo(tmp_path, times)
    by_speed = ("resumed", "calls active")
    assert [text for text in verdict.wrong if not any(word in text for word in by_speed)] == []


@pytest.mark.parametrize("times", [2, pytest.param(6, marks=pytest.mark.slow)])
async def test_a_server_killed_again_and_again_starts_no_attempt_twice(tmp_path: Path, times: int) -> None:
    verdict = await kills.simulated(tmp_path, times)
    assert verdict.wrong == []


@pytest.mark.slow
async def test_cancels_at_random_moments_hold(tmp_path: Path) -> None:
    assert await cancels.run(tmp_path, 2)


async def test_an_invite_that_nobody_answers_is_one_dialog_and_may_have_rung(tmp_path: Path) -> None:
    phones = Phones.start(tmp_path, "--swallow")
    try:
        async with served(tmp_path, demo_settings(phones, pace=60.0)) as server, server.client() as covey:
            await start(server, covey, 5, {**SHORT_AGENT, "ringSeconds": 15})
            async with asyncio.timeout(60):
                while len(set(_dialogs(phones))) < 5:
                    await asyncio.sleep(0.1)
                batch = (await covey.batches.page()).batches[0].id
                while not (await covey.batches.get(batch)).is_complete:
                    await asyncio.sleep(0.2)
            lines = b"".join([piece async for piece in covey.batches.export(batch, "jsonl")]).splitlines()
    finally:
        phones.stop()
    assert {json.loads(line)["errorCode"] for line in lines} == {"no_final_answer"}
    assert collections.Counter(len(calls) for calls in _dialogs(phones).values()) == {1: 5}


def _dialogs(phones: Phones) -> dict[tuple[str, str], set[str]]:
    """The Call-IDs of each attempt that reached the phones."""
    seen: dict[tuple[str, str], set[str]] = {}
    for event in phones.events():
        if event["event"] == "swallowed":
            seen.setdefault((event["item"], event["attempt"]), set()).add(event["call_id"])
    return seen
