"""A served API over a real store and a real worker, whose runner answers as the prompt says.

`hold` waits until a task says `release`; `fail` fails; `long` is cut; `drop` is what a dropped run comes to; everything
else is answered with the prompt itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import orjson

from covey.analysis.config import KIND, AnalysisConfig, ItemInput, lane_of
from covey.api.app import create_app, routes
from covey.api.kit.services import Services
from covey.calls.recordings import Recordings
from covey.domain.asset import Asset, AssetState
from covey.domain.ids import new_id
from covey.domain.lane import Lane
from covey.engine.runner import Aborted, Failed, Outcome, Run, Succeeded
from covey.engine.submission import Submission
from covey.engine.wakeups import Wakeups
from covey.engine.worker import Worker
from covey.metrics import Metrics
from covey.settings import Analysis, Model, ModelKind, Settings
from tests.api.document import declared
from tests.api.harness import MovingClock, _accounts
from tests.api.twelvelabs.asset_api import listening
from tests.conformance.databases import DATABASES
from tests.patience import patience

SLOTS = 4
SECOND = "pegasus1.5"


@dataclass
class Echo:
    """The runner."""

    kind: str = KIND
    go: asyncio.Event = field(default_factory=asyncio.Event)
    held: int = 0
    runs: dict[str, Run] = field(default_factory=dict)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self, run: Run) -> Outcome:
        run.started = asyncio.get_running_loop().time()
        config = AnalysisConfig.model_validate(run.config)
        asked = ItemInput.load(run.input).wanted.over(config.defaults)
        text = str((asked.prompt or {"input_text": ""})["input_text"])
        if text == "release":
            self.go.set()
            self.go = asyncio.Event()
        if text == "hold" and not await self._held(run):
            return Aborted("batch_processing_timeout" if run.drop_reason == "expired" else "user_canceled")
        if text == "fail":
            return Failed("video_file_broken", "The video cannot be decoded")
        usage = {"output_tokens": len(text), "input_tokens": 7}
        said = {
            "data": text,
            "finish_reason": "length" if text == "long" else "stop",
            "usage": usage,
            "made_by": "echo",
        }
        return Succeeded("ready", said, 10.0, 7, len(text))

    async def _held(self, run: Run) -> bool:
        going, dropped = asyncio.create_task(self.go.wait()), asyncio.create_task(run.dropped.wait())
        self.runs[run.item] = run
        async with self.came:
            self.held += 1
            self.came.notify_all()
        await asyncio.wait([going, dropped], return_when=asyncio.FIRST_COMPLETED)
        dropped.cancel()
        going.cancel()
        async with self.came:
            self.held -= 1
            self.came.notify_all()
        return run.drop_reason is None

    def load_config(self, config: bytes) -> Any:
        return orjson.loads(config)

    async def ping(self, lane: str) -> str | None:
        return None

    async def holding(self, count: int) -> None:
        """Wait until so many runs are held."""
        async with self.came, patience():
            await self.came.wait_for(lambda: self.held == count)


@dataclass
class AnalysisApi:
    """The opened API. `asset` is ready, `unready` is being looked at, `foreign` belongs to another workspace."""

    url: str
    app: Any
    services: Services
    client: httpx.AsyncClient
    echo: Echo
    clock: MovingClock
    secrets: dict[str, str]
    worker: Worker
    asset: str = ""
    unready: str = ""
    foreign: str = ""

    async def add(self, workspace: str = "ws-one", state: AssetState = AssetState.ready, seconds: float = 60.0) -> str:
        """A new asset's id."""
        now = self.clock.now()
        asset = Asset(new_id(now), workspace, "clip.mp4", "video", "direct", state, now, 1000, seconds)
        await self.services.store.add_asset(asset, self.services.worker)
        await self.services.store.change_asset(asset)
        return asset.id

    def body(self, *prompts: str, **more: Any) -> dict[str, Any]:
        """A create's body, one item for each prompt."""
        video = {"type": "asset_id", "asset_id": self.asset}
        requests = [{"video": video, "prompt": {"input_text": prompt}} for prompt in prompts]
        return {"model_name": "local-facts", "analysis_mode": "general", "requests": requests, **more}

    async def create(self, *prompts: str, **more: Any) -> Any:
        """The answer to a create that works."""
        answer = await self.client.post("/v1.3/analyze/batches", json=self.body(*prompts, **more))
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def until(self, path: str, *statuses: str) -> Any:
        """An object, once its status is one of these."""
        async with patience():
            while True:
                answer = await self.client.get(path)
                assert answer.status_code == 200, answer.text
                if answer.json()["status"] in statuses:
                    return answer.json()
                await asyncio.sleep(0.01)


@asynccontextmanager
async def open_analysis_api(data: Path, database: str = "sqlite", **analysis: Any) -> AsyncIterator[AnalysisApi]:
    """Open everything over a new database."""
    clock = MovingClock()
    second = Model(kind=ModelKind.openai, url="http://127.0.0.1:9/v1", model="m")
    other = Model(kind=ModelKind.openai, url="http://127.0.0.1:9/v1", model="m", workspaces=("ws-other",))
    models = {SECOND: second, "private": other}
    settings = Settings(data=data, analysis=Analysis(**analysis), models=models)
    async with DATABASES[database].open(clock) as store:
        echo, wakeups, metrics = Echo(), Wakeups(), Metrics()
        lanes = [lane_of("local-facts"), lane_of(SECOND)]
        for lane in lanes:
            await store.put_lane(Lane(lane, SLOTS))
        worker = Worker(store, clock, wakeups, dict.fromkeys(lanes, echo), SLOTS, metrics)
        services = Services(
            store=store,
            submission=Submission(store, wakeups, worker.id),
            wakeups=wakeups,
            clock=clock,
            settings=settings,
            metrics=metrics,
            worker=worker.id,
            recordings=Recordings(data / "recording", None, data / "recordings"),
        )
        await worker.enlist()
        worker.start()
        secrets = await _accounts(services)
        app = create_app(services, routes())
        headers = {"x-api-key": secrets["operate"]}
        try:
            async with listening(app) as url, httpx.AsyncClient(base_url=url, headers=headers) as client:
                client.event_hooks = {"response": [declared]}
                api = AnalysisApi(url, app, services, client, echo, clock, secrets, worker)
                api.asset = await api.add()
                api.unready = await api.add(state=AssetState.processing)
                api.foreign = await api.add("ws-other")
                yield api
        finally:
            hurry = asyncio.Event()
            hurry.set()
            await worker.drain(0, hurry)
            await worker.stop()


A_DAY = timedelta(days=1, minutes=1)
