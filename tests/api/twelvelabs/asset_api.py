"""A house with assets, listening on a real port: a real decoder, a real fetcher, real files."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import uvicorn

from covey.analysis.assets import Intake
from covey.analysis.media import Decoder
from covey.analysis.storage import AssetFiles
from covey.api.app import create_app, routes
from covey.fetch import Fetcher
from covey.settings import Analysis, Fetch
from tests.api.harness import WORKER, ApiHarness, open_api

LOOPBACK = Fetch.model_validate({"allow": ["127.0.0.0/8"]})


@dataclass
class AssetApi:
    """The opened house, its intake, and where it listens."""

    api: ApiHarness
    intake: Intake
    url: str
    data: Path

    @property
    def client(self) -> httpx.AsyncClient:
        return self.api.client

    def kept(self) -> list[str]:
        """The names of the files that assets lie in, and of whatever lies in the spool."""
        spool = [path.name for path in self.intake.files.spool.iterdir() if path.name != "lock"]
        return sorted(path.name for path in (self.data / "assets").iterdir()) + sorted(spool)

    async def upload(self, name: str, content: bytes, **fields: str) -> httpx.Response:
        """Upload a file directly."""
        files = {"file": (name, content, "application/octet-stream")}
        return await self.client.post("/v1.3/assets", data={"method": "direct", **fields}, files=files)

    async def looked_at(self, ident: str) -> Any:
        """The asset on the wire, once it was looked at."""
        found = await self.intake.ready_asset("ws-one", ident)
        assert found is not None
        answer = await self.client.get(f"/v1.3/assets/{ident}")
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def open_asset_api(
    data: Path, fetch: Fetch = LOOPBACK, fetcher: Fetcher | None = None, **analysis: Any
) -> AsyncIterator[AssetApi]:
    """Open it; sandboxes are weak where the machine has none. `fetcher` takes the place of one made of `fetch`."""
    data.mkdir(parents=True, exist_ok=True)
    async with open_api(data) as api:
        settings = api.services.settings.model_copy(
            update={"analysis": Analysis(sandbox="weak", **analysis), "fetch": fetch}
        )
        files = AssetFiles(None, data / "assets", data / "asset-spool")
        fetcher, decoder = fetcher or Fetcher(fetch), Decoder(settings.analysis)
        intake = Intake(api.services.store, files, decoder, fetcher, api.clock, settings.analysis, WORKER)
        services = replace(api.services, settings=settings, intake=intake, fetcher=fetcher)
        app = create_app(services, routes())
        async with listening(app) as url, httpx.AsyncClient(base_url=url, headers=api.headers()) as client:
            api.client = client
            try:
                yield AssetApi(api, intake, url, data)
            finally:
                await intake.close()
                await decoder.close()
                files.close()


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """An application on a port of this machine; its address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([taken]))
        try:
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
