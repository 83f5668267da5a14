"""An analysis runner over a real store, a real intake and real files; what answers is said by the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from covey.analysis.assets import Intake
from covey.analysis.backend import Backend, ItemAnswer, ItemRequest
from covey.analysis.config import AnalysisConfig, ItemInput, Mode, Wanted
from covey.analysis.media import Decoder
from covey.analysis.runner import AnalysisRunner
from covey.analysis.storage import AssetFiles
from covey.domain.asset import Asset, AssetState
from covey.domain.clock import SystemClock
from covey.domain.ids import new_id
from covey.domain.run import Outcome
from covey.engine.runner import Run
from covey.fetch import Fetcher, Resolve
from covey.settings import Analysis, Fetch
from covey.store.store import Store
from tests.conformance.databases import open_sqlite

WORKSPACE = "ws"
SETTINGS = Analysis(sandbox="weak")
SAID = ItemAnswer("a clip", "stop", 3, 11, 10.0, "the test")

Say = Callable[[ItemRequest], Awaitable[ItemAnswer]]


async def say(ask: ItemRequest) -> ItemAnswer:
    """The usual answer."""
    return SAID


@dataclass
class Voice:
    """A backend. `says` answers; `ill` is what it says of itself. `asks` are what it was asked, `at` when."""

    says: Say = say
    ill: str | None = None
    asks: list[ItemRequest] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    worked: int = 0

    async def analyze(self, ask: ItemRequest) -> ItemAnswer:
        self.asks.append(ask)
        self.at.append(asyncio.get_running_loop().time())
        self.came.set()
        try:
            return await self.says(ask)
        except asyncio.CancelledError:
            self.left.set()
            raise

    async def ping(self) -> str | None:
        return self.ill

    async def works(self) -> str | None:
        self.worked += 1
        return self.ill

    async def close(self) -> None:
        """Nothing is its own."""


@dataclass
class AnalysisHarness:
    """The runner and what it stands on."""

    voice: Voice
    runner: AnalysisRunner
    store: Store
    files: AssetFiles
    intake: Intake
    decoder: Decoder
    clock: SystemClock

    def with_backend(self, backend: Backend) -> AnalysisRunner:
        """A runner of another backend on the same things."""
        return AnalysisRunner(backend, self.intake, self.files, self.clock, SETTINGS)

    async def asset(self, content: bytes = b"bytes", **more: Any) -> Asset:
        """An asset of 60 seconds, ready unless told otherwise, with its bytes in place."""
        now = self.clock.now()
        asset = Asset(
            new_id(now), WORKSPACE, "clip.mp4", "video", "direct", AssetState.ready, now, len(content), 60.0, None, {}
        )
        asset = replace(asset, **more)
        await self.store.add_asset(asset, "nobody")
        await self.store.change_asset(asset)
        spooled = self.files.spooled()
        spooled.write_bytes(content)
        await self.files.keep(asset.id, spooled)
        return asset

    def run(self, asset: Asset | str, *, mode: Mode = Mode.general, seq: int = 0, **wanted: Any) -> Run:
        """A run about an asset, or about what is at an address."""
        wanted = {"prompt": {"input_text": "What is shown?"}, **wanted}
        if isinstance(asset, str):
            given = ItemInput(url=asset, wanted=Wanted(**wanted))
        else:
            given = ItemInput(asset=asset.id, wanted=Wanted(**wanted))
        now = self.clock.monotonic()
        config = AnalysisConfig(model="voice", mode=mode)
        ident = new_id(self.clock.now())
        patience = 30.0  # a claim allows half a second, which a loaded machine may not keep here
        return Run(ident, WORKSPACE, "model:voice", seq, 1, 0, None, None, config, given.dump(), now, now + patience)

    async def comes_to(self, asset: Asset | str, **wanted: Any) -> Outcome:
        """What a run comes to."""
        return await self.runner.run(self.run(asset, **wanted))


@asynccontextmanager
async def open_analysis(folder: Path, resolve: Resolve | None = None) -> AsyncIterator[AnalysisHarness]:
    """Open it; loopback may be fetched from. `resolve` looks names up."""
    clock, voice = SystemClock(), Voice()
    files = AssetFiles(None, folder / "assets", folder / "spool")
    decoder = Decoder(SETTINGS)
    fetcher = Fetcher(Fetch.model_validate({"allow": ["127.0.0.0/8"]}), resolve)
    async with open_sqlite(clock) as store:
        intake = Intake(store, files, decoder, fetcher, clock, SETTINGS, "worker")
        runner = AnalysisRunner(voice, intake, files, clock, SETTINGS)
        try:
            yield AnalysisHarness(voice, runner, store, files, intake, decoder, clock)
        finally:
            await intake.close()
            await decoder.close()
            files.close()
