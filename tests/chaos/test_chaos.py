"""Kills, freezes and broken connections at random moments, while clients submit, cancel, pause, resume and delete."""

import asyncio
import random
from pathlib import Path

import pytest

from .cluster import Shape
from .storm import deployment, judged, storm
from .witness import read_starts

KILLS = 1000
SMOKE_KILLS = 6
CALLS = 40
IN_HAND = 10


@pytest.mark.slow
async def test_a_few_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    report = await storm(tmp_path, SMOKE_KILLS, seed=3, short=True, shape=Shape(apis=2, workers=2))
    print("\n" + "\n".join(report.lines))
    assert report.verdict.wrong == []


@pytest.mark.chaos
async def test_many_kills_lose_nothing_and_repeat_nothing(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    kills = pytestconfig.getoption("--kills", None) or KILLS
    seed = pytestconfig.getoption("--seed", None) or random.randrange(1_000_000)
    print(f"\nseed {seed}, {kills} kills")
    report = await storm(tmp_path, kills, seed)
    print("\n" + "\n".join(report.lines))
    assert report.verdict.wrong == []


@pytest.mark.chaos
async def test_a_frozen_worker_is_settled_and_changes_nothing_when_it_wakes(tmp_path: Path) -> None:
    async with deployment(tmp_path, Shape(apis=1, workers=2), seed=1) as here:
        member = here.cluster.of("worker")[0]
        assert member.process is not None
        while here.watch.active(member.process.pid) < IN_HAND:
            await asyncio.sleep(0.05)
        assert here.faults.freeze(member, 60.0)
        frozen = here.watch.deaths[-1]
        await here.faults.over()
        woken = [start for start in read_starts([member.starts]) if start.at > frozen.at + 1]
        lives = await asyncio.to_thread(here.witness.workers_of, {(start.batch, start.seq) for start in woken})
        await here.clients.rest()
        await here.clients.settle(60)
        verdict = await judged(here, here.cluster.shape)
    print(f"\nfrozen with {frozen.active} runs in hand, settled after {frozen.settled} s")
    assert frozen.worker not in lives
    assert frozen.settled is not None
    assert frozen.settled <= 35
    assert verdict.wrong == []


@pytest.mark.chaos
async def test_calls_outlive_their_database_and_none_ends_unknown(tmp_path: Path) -> None:
    shape = Shape(apis=1, workers=2, channels=CALLS, pace=100, ring=30, longest=30)
    async with deployment(tmp_path, shape, seed=1, clients=0) as here:
        batch = await here.clients.submit_rows(2 * CALLS)
        while here.watch.active() < CALLS:
            await asyncio.sleep(0.05)
        active = here.watch.active()
        await asyncio.to_thread(here.server.kill9)
        await asyncio.sleep(3)
        await asyncio.to_thread(here.server.start)
        here.watch.database_came_back()
        await here.clients.settle(120)
        verdict = await judged(here, shape)
        codes = await asyncio.to_thread(here.witness.codes, batch)
    print(f"\n{active} calls active when PostgreSQL was killed; ended: {codes}")
    assert active == CALLS
    assert sum(codes.values()) == 2 * CALLS
    assert "outcome_unknown" not in codes
    assert verdict.wrong == []
