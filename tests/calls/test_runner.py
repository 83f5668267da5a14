"""The runner of a trunk, in the engine, with a voice that does not answer."""

import asyncio
from pathlib import Path

from covey.calls.agents import Agent
from covey.calls.config import CallsConfig
from covey.calls.runner import CallRunner, Manners
from covey.calls.speech.cache import ClipCache
from covey.calls.speech.openai import OpenAiSynthesizer
from covey.calls.trunks.simulated import SimulatedSettings, SimulatedTrunk
from covey.domain.batch import NewBatch, NewItem, Quota
from covey.domain.clock import SystemClock
from covey.domain.ids import new_id
from covey.domain.lane import Lane
from covey.engine.hints import Hints
from covey.engine.worker import Worker
from covey.metrics import Metrics

from ..conformance.databases import open_sqlite


async def test_a_voice_that_is_away_holds_the_trunk_and_burns_no_number(tmp_path: Path) -> None:
    """Promise 7: what all calls need is away, so no number is to blame."""
    clock = SystemClock()
    voice = OpenAiSynthesizer("http://127.0.0.1:9/v1", None, "tts-1")
    runner = CallRunner(
        SimulatedTrunk(SimulatedSettings()),
        Manners(30.0, 600.0, None),
        clock,
        Metrics(),
        clips=ClipCache(tmp_path, voice),
        recordings=None,
        low_disk=0,
    )
    async with open_sqlite(clock) as store:
        await store.put_lane(Lane("simulated", 5))
        worker = Worker(store, clock, Hints(), {"simulated": runner}, 5, Metrics())
        await worker.enlist()
        agent = Agent(greeting="Hello.").model_dump(mode="json")
        config = CallsConfig(agent=agent, agent_id="agent_1", trunk="simulated", live=False)
        batch = NewBatch(new_id(clock.now()), "w", "calls", "simulated", config.dump(), clock.now())
        await store.draft(batch, worker.id)
        await store.append(batch.id, 0, [NewItem(b'{"row":1,"values":{}}', ref=f"+1415555{n:04}") for n in range(40)])
        await store.accept(batch.id, 40, Quota())
        worker.start()
        async with asyncio.timeout(20):
            while (lane := await store.lane("simulated")) is None or lane.open_until is None:
                await asyncio.sleep(0.02)
        counts = (await store.batch(batch.id)).counts
        assert (counts.failed, counts.succeeded) == (0, 0)
        assert lane.open_reason == "speech_failed"
        hurry = asyncio.Event()
        hurry.set()
        await worker.drain(0, hurry)
        await worker.stop()
        await runner.close()
        await voice.close()
