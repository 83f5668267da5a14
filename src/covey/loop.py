"""What every background loop is: a round, then a rest, again and again, whatever goes wrong in a round."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

import structlog

from covey.domain.errors import Unavailable

log = structlog.get_logger(__name__)


class Loop(ABC):
    """A loop of this name that rests so many seconds between two rounds, or until `wake` is set. Tests call `round`
    themselves."""

    name: str
    seconds: float
    rests_first = False
    """Whether it begins with a rest."""
    _task: asyncio.Task[None] | None = None
    _wake: asyncio.Event | None = None

    @property
    def wake(self) -> asyncio.Event:
        """Ends the rest. It is made when it is first asked for, so that no loop has to call a constructor of ours."""
        if self._wake is None:
            self._wake = asyncio.Event()
        return self._wake

    def start(self) -> None:
        """Start the loop."""
        self._task = asyncio.create_task(self._loop(), name=self.name)

    async def stop(self) -> None:
        """End the loop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @abstractmethod
    async def round(self) -> object:
        """Do once what the loop is for."""

    @property
    def going(self) -> bool:
        """Whether there is to be another round."""
        return True

    async def _loop(self) -> None:
        if self.rests_first:
            await self._rest()
        while self.going:
            try:
                await self.round()
            except Exception as error:
                await self._failed(error)
            if self.going:
                await self._rest()

    async def _failed(self, error: Exception) -> None:
        """A round raised `error`."""
        if isinstance(error, Unavailable):
            log.warning("round_waits_for_database", loop=self.name, why=error.message)
        else:
            log.exception("round_failed", loop=self.name, exc_info=error)

    async def _rest(self) -> None:
        """What comes between two rounds."""
        await self._wait(self.seconds)

    async def _wait(self, seconds: float) -> None:
        """Wait for so long, or until woken."""
        try:
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        except TimeoutError:
            pass
        self.wake.clear()


class Rounds(Loop):
    """A loop whose round is a function. It begins with a rest."""

    rests_first = True

    def __init__(
        self, name: str, seconds: float, work: Callable[[], Awaitable[None]], wake: asyncio.Event | None = None
    ) -> None:
        """`wake` is an event that others have already."""
        self.name = name
        self.seconds = seconds
        self._work = work
        self._wake = wake

    async def round(self) -> None:
        """Call it."""
        await self._work()
