"""What every background loop is: one round, again and again, whatever goes wrong in one of them."""

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar

import structlog

from covey.domain.errors import Unavailable

log = structlog.get_logger(__name__)


class Loop(ABC):
    """A loop of this name, with so many seconds between two rounds. Tests call `round` themselves."""

    name: ClassVar[str]
    seconds: ClassVar[float]
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the loop."""
        self._task = asyncio.create_task(self._loop(), name=self.name)

    async def stop(self) -> None:
        """End the loop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @abstractmethod
    async def round(self) -> None:
        """Do once what the loop is for."""

    async def _loop(self) -> None:
        while True:
            try:
                await self.round()
            except Unavailable as error:
                log.warning("a round waits for the database", loop=self.name, why=error.message)
            except Exception:
                log.exception("a round failed", loop=self.name)
            await self._rest()

    async def _rest(self) -> None:
        """What comes between two rounds."""
        await asyncio.sleep(self.seconds)
