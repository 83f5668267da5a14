"""The keeper of assets: takes over what dead processes were looking at, and does what could not be done before."""

import asyncio

import structlog

from covey.analysis.intake import Intake
from covey.domain.errors import Unavailable

log = structlog.get_logger(__name__)

ROUND_SECONDS = 2.0


class AssetKeeper:
    """Rounds of an intake: one every two seconds."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the loop."""
        self._task = asyncio.create_task(self._loop(), name="assets")

    async def stop(self) -> None:
        """End the loop, and what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._intake.close()

    async def round(self) -> None:
        """One round."""
        await self._intake.round()

    async def _loop(self) -> None:
        while True:
            try:
                await self.round()
            except Unavailable as error:
                log.warning("a round waits for the database", loop="assets", why=error.message)
            except Exception:
                log.exception("a round failed", loop="assets")
            await asyncio.sleep(ROUND_SECONDS)
