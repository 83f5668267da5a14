"""A whole server in this process, its API on a port, and a client of it; models are an endpoint that the test plays."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from covey.analysis.config import lane_of
from covey.analysis.media.drawing import DrawnScene, draw
from covey.api.app import create_app, routes
from covey.cli.local.firststart import first_account
from covey.client import CoveyClient
from covey.client.analysis import AnalysisBatch
from covey.domain.clock import SystemClock
from covey.domain.lane import LaneStatus
from covey.server.assembly import Server, running
from covey.settings import Analysis, Limits, Model, ModelKind, Settings
from tests.api.twelvelabs.asset_api import listening
from tests.conformance.databases import template
from tests.postgres_server import session_server

EYES = "eyes"
_names = (f"studio_{n}" for n in itertools.count())


class Calendar(SystemClock):
    """The machine's clock; the date may be moved, as an administrator does. What is waited for is not."""

    ahead = timedelta(0)

    def now(self) -> Any:
        return super().now() + self.ahead


@dataclass
class Studio:
    """The server, its client, and an asset of a second and a half."""

    server: Server
    client: CoveyClient
    clock: Calendar
    asset: str = ""

    def about(self, prompt: str) -> dict[str, Any]:
        """A request about the asset."""
        return {"video": {"type": "asset_id", "asset_id": self.asset}, "prompt": {"input_text": prompt}}

    async def lane(self) -> LaneStatus:
        """The model's lane now."""
        found = await self.server.store.lane(lane_of(EYES))
        assert found is not None
        return found

    async def look(self, batch: str) -> AnalysisBatch:
        """The batch now; its counters add up, and its times are those of its status, at every look."""
        now = await self.client.analyses.get(batch)
        counted = (now.queued_items, now.processing_items, now.ready_items, now.failed_items, now.canceled_items)
        assert sum(counted) == now.total_items, now
        assert min(counted) >= 0, now
        for status, at in (("canceled", now.canceled_at), ("expired", now.expired_at), ("completed", now.completed_at)):
            assert (at is not None) is (now.status == status), now
        return now

    async def results(self, batch: str) -> list[dict[str, Any]]:
        """A line for every item."""
        return [line async for line in self.client.analyses.results(batch)]


def settings_for(folder: Path, url: str, database: str | None, model: Mapping[str, Any]) -> Settings:
    """Settings with one model, which gets the whole file: what is looked at here is not the decoder."""
    given = {"kind": ModelKind.openai, "url": url, "model": "stub", "video": "video_url", **model}
    return Settings.model_validate(
        {
            "data": folder / "data",
            "database": database,
            "limits": Limits(requests_per_minute=1_000_000),
            "analysis": Analysis(sandbox="weak"),
            "models": {EYES: Model.model_validate(given)},
        }
    )


@asynccontextmanager
async def open_studio(folder: Path, url: str, database: str = "sqlite", **model: Any) -> AsyncIterator[Studio]:
    """Open it; `url` is the endpoint of the model `eyes`, whose settings are `model`."""
    clock, name = Calendar(), next(_names)
    address = session_server().create_database(name, await template()) if database == "postgres" else None
    async with (
        running(settings_for(folder, url, address, model), clock) as server,
        listening(create_app(server.services, routes())) as served,
        CoveyClient(await first_account(server.store, served, clock.now)) as client,
    ):
        studio = Studio(server, client, clock)
        draw(folder / "clip.mp4", [DrawnScene(1.0, "navy"), DrawnScene(0.5, "gold")], (160, 90))
        uploaded = await client.assets.upload(folder / "clip.mp4")
        studio.asset = (await client.assets.ready(uploaded.id)).id
        yield studio
    if address is not None:
        session_server().drop(name)
