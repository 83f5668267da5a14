"""The line before the checks of lists: each is a process that takes a core and tens of megabytes."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from covey.domain.errors import TooMany

MOST_WAITING = 20
"""Checks in line; a list of the greatest size takes a core for some seconds."""


class TooManyChecks(TooMany):
    """Too many lists wait to be checked; send it again later."""

    code = "too_many_checks"


@dataclass(slots=True, eq=False)
class _Waiter:
    workspace: str
    called: asyncio.Event = field(default_factory=asyncio.Event)
    refused: bool = False


class CheckQueue:
    """Lets as many checks run at once as this process has cores, and keeps the others in line.

    The next is one of the workspace with the fewest that run, of those the one that was not served for longest; within
    a workspace they keep their order. So a workspace has one at a time while others wait, and all cores while none do.
    When the line is full, whoever has most in it loses the last of them.
    """

    def __init__(self, at_once: int | None = None, most_waiting: int = MOST_WAITING) -> None:
        """`at_once` is the number of cores unless it is given."""
        self._at_once = at_once or _cores()
        self._most_waiting = most_waiting
        self._line: list[_Waiter] = []
        self._running: list[_Waiter] = []
        self._served: dict[str, int] = {}
        self._turns = 0

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._line)

    @property
    def running(self) -> int:
        """How many have their turn."""
        return len(self._running)

    @asynccontextmanager
    async def turn(self, workspace: str) -> AsyncIterator[None]:
        """Wait until it is this workspace's turn, and hold it. Raises TooManyChecks."""
        waiter = self._join(workspace)
        try:
            await waiter.called.wait()
            if waiter.refused:
                raise TooManyChecks
            yield
        finally:
            self._leave(waiter)

    def _join(self, workspace: str) -> _Waiter:
        waiter = _Waiter(workspace)
        self._line.append(waiter)
        self._call()
        if len(self._line) > self._most_waiting:
            self._refuse_last()
        return waiter

    def _leave(self, waiter: _Waiter) -> None:
        for those in (self._line, self._running):
            if waiter in those:
                those.remove(waiter)
        self._call()

    def _call(self) -> None:
        """Give turns while there are any."""
        while self._line and len(self._running) < self._at_once:
            running = Counter(one.workspace for one in self._running)
            waiter = min(self._line, key=lambda one: (running[one.workspace], self._served.get(one.workspace, 0)))
            self._line.remove(waiter)
            self._running.append(waiter)
            self._turns += 1
            self._served[waiter.workspace] = self._turns
            waiter.called.set()
        present = {one.workspace for one in (*self._line, *self._running)}
        self._served = {name: turn for name, turn in self._served.items() if name in present}

    def _refuse_last(self) -> None:
        waiting = Counter(one.workspace for one in self._line)
        most = max(waiting.values())
        last = next(one for one in reversed(self._line) if waiting[one.workspace] == most)
        self._line.remove(last)
        last.refused = True
        last.called.set()


def _cores() -> int:
    """The cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
