"""Faults at random moments: the same ones for the same seed, though not at the same moments."""

import asyncio
import collections
import random
import signal
import time
from collections.abc import Awaitable, Callable

from ..postgres_server import PostgresServer
from .cluster import Cluster, Member
from .proxy import Mode
from .watch import Watch

FREEZE_SECONDS = 60.0
MOMENTS = (0.3, 1.6)
"""Seconds between two faults."""

ALL_CUT = 0.15
"""How many of the cuts are of everybody's connections."""

SPARED_SECONDS = 40.0
"""So long after everybody lost the database one process is left alone: who is dead then is seen by those who have been
there for 30 s."""

WEIGHTS = {
    "worker": 48,
    "api": 28,
    "postgres": 2,
    "cut": 9,
    "delay": 4,
    "half_open": 4,
    "refuse": 3,
    "freeze": 2,
}


class Faults:
    """Makes faults until enough processes were killed. `done` counts them by kind."""

    def __init__(self, cluster: Cluster, server: PostgresServer, watch: Watch, seed: int) -> None:
        self._cluster = cluster
        self._server = server
        self._watch = watch
        self._chance = random.Random(seed)
        self._lasting: set[asyncio.Task[None]] = set()
        self._spared: tuple[str, float] = ("", 0.0)
        self.done: collections.Counter[str] = collections.Counter()

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(self.done[kind] for kind in ("worker", "api", "postgres"))

    async def until(self, kills: int, freeze: bool = True, progress: Callable[[], None] = lambda: None) -> None:
        """One fault after the other until so many kills; then wait until what lasts is over."""
        kinds = [kind for kind in WEIGHTS if freeze or kind != "freeze"]
        while self.kills < kills:
            await asyncio.sleep(self._chance.uniform(*MOMENTS))
            await self.make(self._chance.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0])
            progress()
        await self.over()

    async def over(self) -> None:
        """Wait until what lasts is over."""
        await asyncio.gather(*self._lasting)

    async def make(self, kind: str) -> None:
        """Make one fault."""
        made: dict[str, Callable[[], Awaitable[bool]]] = {
            "worker": lambda: self._kill("worker", "worker"),
            "api": lambda: self._kill("serve", "api"),
            "postgres": self._kill_postgres,
            "cut": self._cut,
            "delay": self._delay,
            "half_open": lambda: self._mode(Mode.half_open, (2.0, 9.0)),
            "refuse": lambda: self._mode(Mode.refuse, (1.0, 4.0)),
            "freeze": self._freeze,
        }
        if await made[kind]():
            self.done[kind] += 1

    def _names(self) -> list[str]:
        """The processes to which something may happen now."""
        name, until = self._spared
        return [other for other in self._cluster.members if other != name or time.monotonic() > until]

    def _some(self, role: str) -> Member | None:
        """A process that is up and not frozen."""
        members = [self._cluster.members[name] for name in self._names()]
        members = [member for member in members if member.alive and not member.frozen and member.role == role]
        return self._chance.choice(members) if members else None

    async def _kill(self, role: str, what: str) -> bool:
        member = self._some(role)
        if member is None or member.process is None:
            return False
        pid = member.process.pid
        if not await asyncio.to_thread(member.kill):
            return False
        self._watch.died(pid, what)
        return True

    async def _kill_postgres(self) -> bool:
        await asyncio.to_thread(self._server.kill9)
        await asyncio.sleep(self._chance.uniform(0.0, 1.5))
        await asyncio.to_thread(self._server.start)
        self._everybody_lost_it()
        return True

    def _everybody_lost_it(self) -> None:
        """All sessions ended at once: leave somebody alone who sees who does not come back."""
        self._watch.database_came_back()
        self._spared = (self._chance.choice(list(self._cluster.members)), time.monotonic() + SPARED_SECONDS)

    async def _cut(self) -> bool:
        if self._chance.random() < ALL_CUT:
            cut = sum(self._cluster.proxy.cut(name) for name in self._cluster.members)
            self._everybody_lost_it()
            return cut > 0
        return self._cluster.proxy.cut(self._chance.choice(self._names())) > 0

    async def _delay(self) -> bool:
        name = self._chance.choice(self._names())
        self._cluster.proxy.delay(name, self._chance.uniform(0.01, 0.3), self._chance.uniform(0.0, 0.2))
        return self._for_a_while(name, (3.0, 10.0))

    async def _mode(self, mode: Mode, seconds: tuple[float, float]) -> bool:
        name = self._chance.choice(self._names())
        self._cluster.proxy.mode(name, mode)
        return self._for_a_while(name, seconds)

    def _for_a_while(self, name: str, seconds: tuple[float, float]) -> bool:
        async def heal(after: float) -> None:
            await asyncio.sleep(after)
            self._cluster.proxy.heal(name)

        self._lasts(heal(self._chance.uniform(*seconds)))
        return True

    async def _freeze(self) -> bool:
        member = self._some("worker")
        if member is None or member.process is None or any(m.frozen for m in self._cluster.members.values()):
            return False
        return self.freeze(member, FREEZE_SECONDS)

    def freeze(self, member: Member, seconds: float) -> bool:
        """SIGSTOP now, SIGCONT after so many seconds; whether there was somebody to freeze."""
        if member.process is None or not member.signal(signal.SIGSTOP):
            return False
        member.frozen = True
        self._watch.died(member.process.pid, "freeze")

        async def thaw() -> None:
            await asyncio.sleep(seconds)
            member.signal(signal.SIGCONT)
            member.frozen = False

        self._lasts(thaw())
        return True

    def _lasts(self, coroutine: Awaitable[None]) -> None:
        async def whole() -> None:
            await coroutine

        task = asyncio.create_task(whole())
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)

    def stop(self) -> None:
        """Let everything be whole again at once."""
        for task in self._lasting:
            task.cancel()
        for name, member in self._cluster.members.items():
            self._cluster.proxy.heal(name)
            member.signal(signal.SIGCONT)
            member.frozen = False
