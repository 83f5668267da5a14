"""The locks by which a database knows who is alive, and a process's hold on its own.

A lock belongs to a session. It ends with the process, with the database, or when somebody ends it; not with a network
that is silent.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from covey.domain.clock import Clock
from covey.domain.errors import Unavailable

from .database import Done
from .loop import Loop
from .network import Link

BEAT_SECONDS = 1.0

BEAT_PATIENCE = 3.0
"""Without an answer to a beat for so long a worker claims no more."""

RETURN_SECONDS = 2.0
"""So long after a lost session came back its worker claims nothing."""


@dataclass(slots=True, eq=False)
class Session:
    """A lock while it is held."""

    beat_at: float
    lost: Callable[[], None]
    """Told in the process when its connection was reset."""


class Locks:
    """The database's side. Who holds a lock, when it last beat, and since when a lock is free."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.held: dict[str, Session] = {}
        self.free_since: dict[str, float] = {}
        self.taken_at: dict[str, float] = {}

    def take(self, worker: str, session: Session) -> None:
        """Take a worker's lock for a session of it; an earlier one of the same worker ends first."""
        self.held[worker] = session
        session.beat_at = self.taken_at[worker] = self._loop.time()
        self.free_since.pop(worker, None)

    def beat(self, worker: str, session: Session) -> bool:
        """A beat of a session; False if it has ended."""
        if self.held.get(worker) is not session:
            return False
        session.beat_at = self._loop.time()
        return True

    def end(self, worker: str) -> None:
        """A session ends, whoever ended it."""
        if self.held.pop(worker, None) is not None:
            self.free_since[worker] = self._loop.time()

    def end_all(self) -> None:
        """The database went away, and every connection with it."""
        for worker, session in list(self.held.items()):
            self.end(worker)
            self._loop.at(self._loop.time() + 0.001, session.lost)


class Hold:
    """The process's side: takes the lock, beats, and takes it again when it was lost."""

    def __init__(self, worker: str, link: Link, locks: Locks, clock: Clock) -> None:
        self.worker = worker
        self._link = link
        self._locks = locks
        self._clock = clock
        self._session = Session(0.0, self._lost)
        self.since: float | None = None
        self._answered = clock.monotonic()
        self._returned: float | None = None

    def _lost(self) -> None:
        if not self._link.cut:
            self.since = None

    @property
    def sure(self) -> bool:
        """Whether the lock is held and the last answer young enough to claim."""
        return self.since is not None and self._clock.monotonic() - self._answered < BEAT_PATIENCE

    @property
    def settling(self) -> bool:
        """Whether the session came back so lately that nothing is to be claimed yet."""
        return self._returned is not None and self._clock.monotonic() - self._returned < RETURN_SECONDS

    async def take(self) -> None:
        """Take the lock. Raises Unavailable if the database does not answer."""
        session = Session(0.0, self._lost)

        def taking(done: Done) -> None:
            self._locks.take(self.worker, session)
            done(None, None)

        await self._link.ask(taking)
        self._session, self.since = session, self._clock.monotonic()
        self._answered = self._clock.monotonic()

    async def beating(self, heard: Callable[[str], None]) -> None:
        """Beat for as long as the process lives. `heard` is told that hints may have been missed."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self._beat(heard)
            except Unavailable:
                continue

    async def _beat(self, heard: Callable[[str], None]) -> None:
        asked = self._clock.monotonic()

        def beat(done: Done) -> None:
            done(self._locks.beat(self.worker, self._session), None)

        if self.since is not None and await self._link.ask(beat):
            self._answered = asked
            return
        self.since = None
        await self.take()
        self._returned = self._clock.monotonic()
        heard("")
