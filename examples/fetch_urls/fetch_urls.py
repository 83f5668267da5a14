"""A third kind of batch: a list of URLs, each fetched once; the result is its status, type and size.

`python fetch_urls.py URL …` runs one batch in this process, with `[runners.fetch_urls]` in covey.toml: docs/runners.md.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from covey.domain.batch import Batch, NewBatch, NewItem, Quota
from covey.domain.ids import new_id
from covey.engine.runner import Aborted, Blame, Failed, Outcome, Retry, Run, Succeeded
from covey.server.assembly import Server, running
from covey.server.runners import lane_of
from covey.settings import Settings


class FetchUrls:
    """Fetches one URL a run."""

    kind = "urls"

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options` are those of `[runners.fetch_urls.options]`."""
        self._http = httpx2.AsyncClient(timeout=float(options.get("timeout", 30)))

    def load_config(self, config: bytes) -> None:
        """A batch of URLs has none."""

    async def run(self, run: Run) -> Outcome:
        """Fetch it, unless the run is withdrawn before; a drop ends the request."""
        if not await run.turn(time.monotonic):
            return run.unstarted()
        fetching, dropped = asyncio.create_task(self._fetch(run)), asyncio.create_task(run.dropped.wait())
        await asyncio.wait([fetching, dropped], return_when=asyncio.FIRST_COMPLETED)
        dropped.cancel()
        fetching.cancel()
        return Aborted(run.drop_reason or "aborted") if run.dropped.is_set() else await fetching

    async def _fetch(self, run: Run) -> Outcome:
        try:
            answer = await self._http.get(run.input.decode())
        except httpx2.HTTPError as error:
            return Failed("unreachable", str(error) or type(error).__name__, blame=Blame.nothing)
        found = {"status": answer.status_code, "type": answer.headers.get("content-type"), "bytes": len(answer.content)}
        failed = Failed("refused", f"It answered {answer.status_code}", found)
        if answer.status_code in (429, 503):
            return Retry(datetime.now(UTC) + timedelta(seconds=5), failed)
        return Succeeded("fetched", found) if answer.is_success else failed

    async def ping(self, lane: str) -> None:
        """There is no single far end whose absence would stop them all."""

    async def close(self) -> None:
        """The server ends."""
        await self._http.aclose()


async def submit(server: Server, workspace: str, urls: Sequence[str]) -> Batch:
    """Make a batch of URLs. A GET may be repeated, so a run whose worker died is run again."""
    now, lane = server.services.clock.now(), lane_of("fetch_urls")
    new = NewBatch(new_id(now), workspace, FetchUrls.kind, lane, b"{}", now, max_tries=3, repeatable=True)

    async def items() -> AsyncIterator[Sequence[NewItem]]:
        yield [NewItem(url.encode()) for url in urls]

    return await server.services.submission.submit(new, items(), Quota(allow_duplicate=True))


async def main(urls: Sequence[str]) -> None:
    """Fetch them."""
    async with running(Settings.load()) as server:
        batch = await submit(server, "examples", urls)
        while not (await server.store.batch(batch.id)).ended:
            await asyncio.sleep(0.2)
        for item in (await server.store.items(batch.id, limit=len(urls)))[1]:
            print(urls[item.seq], item.state, item.last and item.last.result)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
