"""The runner of a trunk, in the engine: a voice that does not answer, a trunk that starts late, what a call tells."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from covey.calls import runner as runner_module
from covey.calls.agents import Agent
from covey.calls.call import CallClock, CallEnd, CallOrder, CallReport, CallWatch
from covey.calls.config import CallsConfig, RetryPlan
from covey.calls.runner import CallRunner, DialDefaults
from covey.calls.speech.cache import ClipCache
from covey.calls.speech.openai import OpenAiSynthesizer
from covey.calls.trunks.simulated import SimulatedSettings, SimulatedTrunk, starts
from covey.domain.batch import NewBatch, NewItem, Quota
from covey.domain.clock import SystemClock
from covey.domain.ids import new_id
from covey.domain.item import ItemState
from covey.domain.lane import Lane
from covey.domain.run import START_LEASE_SECONDS
from covey.engine.runner import Failed, Returned, Run
from covey.engine.wakeups import Wakeups
from covey.engine.worker import Worker
from covey.metrics import Metrics
from covey.settings import LEAST_GAP
from covey.store.sqlite import SqliteStore

from ..conformance.databases import open_sqlite
from ..patience import patience


def runner_of(trunk: SimulatedTrunk, clips: ClipCache | None = None) -> CallRunner:
    manners = DialDefaults(30.0, 600.0, None, LEAST_GAP)
    return CallRunner(trunk, manners, SystemClock(), Metrics(), clips=clips, recordings=None, low_disk=0)


@asynccontextmanager
async def calling(
    runner: CallRunner, lane: Lane, numbers: int | list[str], retry: RetryPlan | None = None
) -> AsyncIterator[tuple[SqliteStore, str, Worker]]:
    """A store, a batch of so many numbers or of these, and the worker that calls them."""
    clock = SystemClock()
    async with open_sqlite(clock) as store:
        assert isinstance(store, SqliteStore)
        await store.put_lane(lane)
        worker = Worker(store, clock, Wakeups(), {lane.name: runner}, 40, Metrics())
        await worker.enlist()
        agent = Agent(greeting="Hello.").model_dump(mode="json")
        config = CallsConfig(agent=agent, agent_id="agent_1", trunk=lane.name, live=False, retry=retry)
        batch = NewBatch(
            new_id(clock.now()), "w", "calls", lane.name, config.dump(), clock.now(), max_tries=3 if retry else 1
        )
        refs = [f"+1415555{n:04}" for n in range(numbers)] if isinstance(numbers, int) else numbers
        items = [NewItem(b'{"row":1,"values":{}}', ref=ref) for ref in refs]
        await store.draft(batch, worker.id)
        await store.append(batch.id, 0, items)
        await store.accept(batch.id, len(items), Quota())
        worker.start()
        yield store, batch.id, worker
        hurry = asyncio.Event()
        hurry.set()
        await worker.drain(0, hurry)
        await worker.stop()
        await runner.close()


async def test_a_voice_that_is_away_holds_the_trunk_and_burns_no_number(tmp_path: Path) -> None:
    """Promise 7: what all calls need is away, so no number is to blame."""
    voice = OpenAiSynthesizer("http://127.0.0.1:9/v1", None, "tts-1")
    runner = runner_of(SimulatedTrunk(SimulatedSettings()), ClipCache(tmp_path, voice))
    async with calling(runner, Lane("simulated", 5), 40) as (store, batch, _):
        async with patience():
            while (lane := await store.lane("simulated")) is None or lane.open_until is None:
                await asyncio.sleep(0.02)
        counts = (await store.batch(batch)).counts
        assert (counts.failed, counts.succeeded) == (0, 0)
        assert lane.open_reason == "speech_failed"
    await voice.close()


async def test_premium_and_satellite_numbers_are_refused_before_the_dial(tmp_path: Path) -> None:
    """An earlier version took them for a simulated trunk. The trunk's log has every start."""
    log = tmp_path / "starts.jsonl"
    trunk = SimulatedTrunk(SimulatedSettings(answer_rate=1.0, ring_seconds=0.0, talk_seconds=0.0, log=log))
    never = ("+19002345678", "+881612345678")
    numbers = [*never, "+14155550001", "+19005550142"]
    async with calling(runner_of(trunk), Lane("simulated", 5), numbers) as (store, batch, _):
        async with asyncio.timeout(60):
            while (await store.batch(batch)).counts.waiting + (await store.batch(batch)).counts.active:
                await asyncio.sleep(0.02)
        _, items = await store.items(batch)
        assert [item.last.code for item in items[:2] if item.last] == ["premium_number", "satellite_number"]
        assert [item.state for item in items] == [ItemState.failed] * 2 + [ItemState.succeeded] * 2
        assert {start["item"] for start in starts(log)} == {item.id for item in items[2:]}


async def test_a_gap_that_was_frozen_too_short_is_the_least_one(tmp_path: Path) -> None:
    """An earlier version took a gap of nothing: three attempts at one person within a second."""
    log = tmp_path / "starts.jsonl"
    trunk = SimulatedTrunk(SimulatedSettings(answer_rate=0.0, ring_seconds=0.0, log=log))
    retry = RetryPlan(gaps=(0.0,), codes=tuple(end.value for end in CallEnd))
    began = SystemClock().now()
    async with calling(runner_of(trunk), Lane("simulated", 5), 1, retry) as (store, batch, _):
        async with patience():
            while not (item := await store.item(batch, 0)).earlier:
                await asyncio.sleep(0.02)
        assert item.state is ItemState.waiting
        assert item.due_at is not None
        assert (item.due_at - began).total_seconds() >= LEAST_GAP
        assert len(list(starts(log))) == 1


class SlowTrunk(SimulatedTrunk):
    """Takes its time to start, and fails `faults` times first."""

    def __init__(self, takes: float, faults: int = 0) -> None:
        super().__init__(SimulatedSettings(answer_rate=1.0, ring_seconds=0.0, talk_seconds=1e6))
        self.starts = 0
        self._takes = takes
        self._faults = faults

    async def start(self) -> None:
        self.starts += 1
        await asyncio.sleep(self._takes)
        if self.starts <= self._faults:
            raise OSError("no socket is free")
        await super().start()


async def test_a_trunk_that_starts_late_then_takes_all_that_it_may(tmp_path: Path) -> None:
    """Its first calls come back unstarted, together. That must not make it one call at a time until the first one,
    which may take minutes, has ended."""
    trunk = SlowTrunk(takes=3 * START_LEASE_SECONDS)
    async with calling(runner_of(trunk), Lane("simulated", 40, 60.0), 40) as (_, _, worker):
        async with patience():
            while sum(run.started is not None for run in worker.dispatchers["simulated"].runs.values()) < 40:
                await asyncio.sleep(0.02)
        assert max(run.attempt for run in worker.dispatchers["simulated"].runs.values()) <= 3
    assert trunk.starts == 1


async def test_a_trunk_that_cannot_be_started_says_so_and_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "START_PAUSE", 0.3)
    trunk = SlowTrunk(takes=0.0, faults=2)
    async with calling(runner_of(trunk), Lane("simulated", 5), 5) as (store, batch, worker), patience():
        while (lane := await store.lane("simulated")) is None or lane.open_until is None:
            await asyncio.sleep(0.01)
        assert lane.open_reason == "it cannot be started (no socket is free)"
        while sum(run.started is not None for run in worker.dispatchers["simulated"].runs.values()) < 5:
            await asyncio.sleep(0.02)
        assert (await store.batch(batch)).counts.failed == 0
    assert trunk.starts == 3


def a_run(config: CallsConfig) -> Run:
    """A run whose start and whose licence leave much time."""
    now = SystemClock().monotonic()
    frozen = (config, Agent.model_validate({**config.agent, "recording": config.recording}))
    row = b'{"row":1,"values":{}}'
    return Run("b" * 24, "w", "simulated", 0, 1, 0, None, "+14155550140", frozen, row, now, now + 600)


def plain() -> CallsConfig:
    agent = Agent(greeting="Hello.").model_dump(mode="json")
    return CallsConfig(agent=agent, agent_id="agent_1", trunk="simulated", live=False)


class MuteVoice:
    """Is ready, and never comes to say anything."""

    name = "mute"

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def speak(self, text: str, voice: str) -> bytes:
        if text != "Ready.":
            self.asked.set()
            await asyncio.Event().wait()
        return b""

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("waits_for", ["the trunk", "the voice"])
async def test_a_call_is_withdrawn_whatever_it_waits_for(tmp_path: Path, waits_for: str) -> None:
    """Both may take longer than an order that takes calls back may be kept waiting."""
    voice, trunk = MuteVoice(), SlowTrunk(takes=1e6 if waits_for == "the trunk" else 0.0)
    runner, run = runner_of(trunk, ClipCache(tmp_path, voice)), a_run(plain())
    running = asyncio.create_task(runner.run(run))
    async with asyncio.timeout(10):
        while not (trunk.starts if waits_for == "the trunk" else voice.asked.is_set()):
            await asyncio.sleep(0)
    run.withdraw()
    assert isinstance(await asyncio.wait_for(running, 10), Returned)
    await runner.close()


class Dialling(SimulatedTrunk):
    """Its INVITE is about to leave until the test says that the far side has it."""

    def __init__(self) -> None:
        super().__init__(SimulatedSettings())
        self.about_to_dial, self.goes = asyncio.Event(), asyncio.Event()

    async def place(self, order: CallOrder, watch: CallWatch) -> CallReport:
        watch.dialling()
        self.about_to_dial.set()
        await self.goes.wait()
        watch.reached()
        return CallReport(CallEnd.busy, CallClock().now(), CallClock().now())


async def test_a_call_has_started_when_the_far_side_has_it() -> None:
    """An order that takes calls back is not answered while an INVITE may still leave."""
    trunk = Dialling()
    runner, run = runner_of(trunk), a_run(plain())
    running = asyncio.create_task(runner.run(run))
    await asyncio.wait_for(trunk.about_to_dial.wait(), 10)
    fate = run.withdraw()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not fate.done()
    trunk.goes.set()
    assert await asyncio.wait_for(fate, 10) is True
    assert isinstance(await running, Failed)
    await runner.close()
