"""Covey on several "machines": `covey serve` and `covey worker` processes on one PostgreSQL, each through a proxy port
of its own, kept running as systemd would keep them.
"""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from covey.client import Profile

from ..postgres_server import PostgresServer, free_port
from .proxy import Proxy

RESTART_SECONDS = 0.3
"""How long after its end a process is started again."""

READY_SECONDS = 60.0

CHANNELS = 150
PACE = 60
RING_SECONDS = 4
LONGEST_SECONDS = 5

SETTINGS = """\
host = "127.0.0.1"
port = {port}
data = "{data}"
drain_seconds = 1

[calls]
default_trunk = "simulated"

[trunks.demo]
kind = "demo"
ring_seconds = {ring}
longest_seconds = {longest}

[trunks.simulated]
kind = "simulated"
channels = {channels}
calls_per_second = {pace}
ring_seconds = {ring}
longest_seconds = {longest}
start_log = "{starts}"
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """How big a cluster is, and how its one trunk calls."""

    apis: int = 3
    workers: int = 4
    channels: int = CHANNELS
    pace: float = PACE
    ring: float = RING_SECONDS
    longest: float = LONGEST_SECONDS


@dataclass(slots=True, eq=False)
class Member:
    """One process's place: whatever life runs in it has the same folder, port and proxy link."""

    name: str
    role: str
    folder: Path
    port: int
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    frozen: bool = False
    lives: int = 0
    exits: list[int] = field(default_factory=list)

    @property
    def starts(self) -> Path:
        """The log of starts of all its lives."""
        return self.folder / "starts.jsonl"

    @property
    def log(self) -> Path:
        """What its lives said."""
        return self.folder / "said.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Begin another life."""
        command = [sys.executable, "-m", "covey.cli", self.role, "--config", str(self.folder / "covey.toml")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environment,
                start_new_session=True,
            )
        self.lives += 1
        self.frozen = False

    def signal(self, number: int) -> bool:
        """Send a signal; whether there was somebody to get it."""
        if self.process is None or self.process.poll() is not None:
            return False
        os.kill(self.process.pid, number)
        return True

    def kill(self) -> bool:
        """kill -9, and wait until it is gone."""
        if not self.signal(signal.SIGKILL):
            return False
        assert self.process is not None
        self.process.wait()
        return True


class Cluster:
    """The processes, by name: `api1 …`, `worker1 …`."""

    def __init__(self, folder: Path, url: Callable[[int], str], proxy: Proxy, shape: Shape) -> None:
        """`url` is the database's URL by way of a port of this machine."""
        self.folder = folder
        self._url = url
        self.proxy = proxy
        self.shape = shape
        self.members: dict[str, Member] = {}
        self._keeping: list[asyncio.Task[None]] = []
        for role, prefix, count in (("serve", "api", shape.apis), ("worker", "worker", shape.workers)):
            for number in range(1, count + 1):
                self._place(f"{prefix}{number}", role)

    def _place(self, name: str, role: str) -> None:
        folder = self.folder / name
        folder.mkdir(parents=True)
        member = Member(name, role, folder, free_port(), self._environment(name))
        values = {
            "port": member.port,
            "data": folder / "data",
            "channels": self.shape.channels,
            "pace": self.shape.pace,
            "ring": self.shape.ring,
            "longest": self.shape.longest,
            "starts": member.starts,
        }
        (folder / "covey.toml").write_text(SETTINGS.format(**values))
        self.members[name] = member

    def _environment(self, name: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("COVEY_")}
        url = self._url(self.proxy.link(name))
        return {**kept, "COVEY_DATABASE": url, "COVEY_PROFILE": str(self.folder / name / "profile.toml")}

    @property
    def _key(self) -> Path:
        """Where the first process writes the first key; it does so as soon as it listens."""
        return self.folder / "api1" / "data" / "first-key.txt"

    def of(self, role: str) -> list[Member]:
        """The members that are `serve` or `worker`."""
        return [member for member in self.members.values() if member.role == role]

    async def start(self) -> None:
        """Start the first alone, as it fills the empty database; then the others, and keep all of them running."""
        first, *others = self.members.values()
        first.start()
        await self.listening(first)
        await until(self._key.exists, READY_SECONDS)
        for member in others:
            member.start()
        await asyncio.gather(*(self.listening(member) for member in others if member.role == "serve"))
        self._keeping = [asyncio.create_task(self._keep(member)) for member in self.members.values()]

    async def stop(self) -> None:
        """End all of them, by SIGTERM first."""
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        for member in self.members.values():
            member.signal(signal.SIGCONT)
            member.signal(signal.SIGTERM)
        await until(lambda: not any(member.alive for member in self.members.values()), 15)
        for member in self.members.values():
            member.kill()

    async def listening(self, member: Member) -> None:
        """Wait until it takes requests."""
        if not await until(lambda: _answers(member.port) or not member.alive, READY_SECONDS) or not member.alive:
            raise RuntimeError(f"{member.name} did not start: {member.log.read_text()[-3000:]}")

    async def _keep(self, member: Member) -> None:
        """Start it again whenever it ends."""
        while True:
            assert member.process is not None
            if (code := member.process.poll()) is not None:
                member.exits.append(code)
                await asyncio.sleep(RESTART_SECONDS)
                member.start()
            await asyncio.sleep(0.02)

    def profile(self, member: Member) -> Profile:
        """The first key, at this member's address."""
        said = self._key.read_text()
        values = dict(re.findall(r"export (COVEY_\w+)=(\S+)", said))
        return Profile(member.url, values["COVEY_API_KEY"], values["COVEY_WORKSPACE"])


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until `condition()` holds, `seconds` at most; whether it does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.asynccontextmanager
async def running(folder: Path, server: PostgresServer, database: str, shape: Shape) -> AsyncIterator[Cluster]:
    """A started cluster on a database of `server`; it is ended on leaving."""
    with Proxy("127.0.0.1", server.port) as proxy:
        cluster = Cluster(folder, lambda port: server.tcp_url(database, port), proxy, shape)
        try:
            await cluster.start()
            yield cluster
        finally:
            for name in cluster.members:
                proxy.heal(name)
            await cluster.stop()
