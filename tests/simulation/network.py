"""A process's way to the database: it takes time, loses questions and answers, and is cut."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from covey.domain.errors import Unavailable

from .database import Done, SimulatedDatabase
from .loop import Loop, Process

PATIENCE = 3.0
"""So many seconds a process waits for an answer."""

Request = Callable[[Done], None]
"""What the database is to do; it is given whom to tell of the result."""

Note = Callable[[Any, BaseException | None], None]


class Network:
    """All that is under way between processes and the database."""

    def __init__(self, loop: Loop, database: SimulatedDatabase) -> None:
        self.loop = loop
        self.database = database
        self.under_way: dict[asyncio.Future[Any], Process] = {}

    def reset(self) -> None:
        """The database went away: everything under way fails."""
        for future in list(self.under_way):
            self.loop.at(self.loop.time() + 0.001, self.fail, future, "the connection was reset")

    def answer(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        """An answer reaches the process that asked, if there still is one that waits."""
        process = self.under_way.pop(future, None)
        if process is None or process.dead or future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def fail(self, future: asyncio.Future[Any], why: str) -> None:
        """A process hears that there will be no answer."""
        if future in self.under_way:
            self.answer(future, None, Unavailable(why))


class Link:
    """One process's connections. The weather on it is changed by the hand that makes things fail."""

    def __init__(self, network: Network, process: Process, dice: Random) -> None:
        self._network = network
        self._loop = network.loop
        self._process = process
        self._dice = dice
        self.lose_questions = 0.0
        self.lose_answers = 0.0
        self.slow = 0.0
        self.stumbles = 0.0
        self.cut = False
        self.asked = 0

    async def ask(self, request: Request, note: Note | None = None) -> Any:
        """Have the database do something. `note` is told in the moment in which it is done, whoever learns of it."""
        future = self._loop.create_future()
        self._network.under_way[future] = self._process
        self.asked += 1
        now = self._loop.time()
        if self.cut or self._dice.random() < self.lose_questions:
            self._loop.at(now + PATIENCE, self._network.fail, future, "no answer in time")
        else:
            arrives = now + self._latency()
            if arrives > now + PATIENCE:
                self._loop.at(now + PATIENCE, self._network.fail, future, "no answer in time")
            self._loop.at(arrives, self._arrive, request, note, future, now + PATIENCE)
        return await future

    def _latency(self) -> float:
        latency = 0.0002 + 0.002 * self._dice.random()
        if self.stumbles and self._dice.random() < self.stumbles:
            latency += self._dice.uniform(0.1, 0.45)
        return latency if not self.slow else latency + self._dice.expovariate(1 / self.slow)

    def _arrive(self, request: Request, note: Note | None, future: asyncio.Future[Any], until: float) -> None:
        if not self._network.database.up:
            self._loop.at(self._loop.time() + 0.001, self._network.fail, future, "connection refused")
            return

        def done(result: Any, error: BaseException | None) -> None:
            if note is not None:
                note(result, error)
            self._send_back(future, until, result, error)

        request(done)

    def _send_back(self, future: asyncio.Future[Any], until: float, result: Any, error: BaseException | None) -> None:
        now = self._loop.time()
        comes = now + self._latency()
        if self.stumbles and self._dice.random() < self.stumbles:
            self._loop.at(now + 0.002, self._network.fail, future, "the connection was reset")
        elif self.cut or self._dice.random() < self.lose_answers or comes > until:
            self._loop.at(max(now, until), self._network.fail, future, "no answer in time")
        else:
            self._loop.at(comes, self._network.answer, future, result, error)
