"""A real server and real demo phones for measurements and for tests of what survives: each a process of its own.

The phones are started apart from the server, so that they outlive it: they are the witness.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from covey.client import CoveyClient, Profile

AGENT: dict[str, Any] = {
    "name": "reminder",
    "ttsModel": {"provider": "espeak"},
    "llmModel": "none",
    "greeting": "Hello {first_name}, this is a reminder of your appointment.",
    "questions": [{"name": "coming", "ask": "Will you come? Press 1 for yes, 2 for no."}],
}
SHORT_AGENT: dict[str, Any] = {**AGENT, "name": "short", "greeting": "Hello.", "questions": [], "goodbye": "Goodbye."}

START_SECONDS = 90.0


@dataclass(slots=True)
class Phones:
    """The demo phones, as a process of their own. `log` is what they saw."""

    log: Path
    process: subprocess.Popen[bytes]
    port: int

    @classmethod
    def start(cls, folder: Path, *options: str) -> Self:
        """Start them; they write `phones.jsonl` and what they heard into `folder`."""
        log = folder / "phones.jsonl"
        command = [sys.executable, "-m", "covey.calls.trunks.demo", "--log", str(log), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout is not None
        return cls(log, process, int(json.loads(process.stdout.readline())["port"]))

    def events(self) -> list[dict[str, Any]]:
        """All that they wrote down, in order."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().split("\n")
        return [json.loads(line) for line in lines[:-1] if line]

    def stop(self) -> None:
        """End them."""
        self.process.terminate()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclass(slots=True)
class ServerProcess:
    """`covey serve` on a folder, startable again and again on the same data."""

    folder: Path
    settings: str
    process: subprocess.Popen[str] | None = None
    url: str = ""
    files: int | None = None
    """How many files the process may have open; None: as many as this one."""
    _started: int = 0

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "covey.toml"
        config.write_text(f'port = 0\ndata = "{self.folder / "data"}"\n{self.settings}')
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COVEY_")}
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [*self._limited(), sys.executable, "-m", "covey.cli", "serve", "--config", str(config)],
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**kept, "COVEY_PROFILE": str(self.folder / "profile.toml")},
                start_new_session=True,
                text=True,
            )
        self.url = await self._address()

    def _limited(self) -> list[str]:
        return ["sh", "-c", f'ulimit -n {self.files} && exec "$@"', "sh"] if self.files else []

    async def _address(self) -> str:
        for _ in range(int(START_SECONDS * 100)):
            said = (self.folder / "server.log").read_text()
            found = list(re.finditer(r"listens at (http://\S+?);", said))
            if len(found) > self._started:
                self._started = len(found)
                return found[-1][1]
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {said[-2000:]}")
            await asyncio.sleep(0.01)
        raise RuntimeError("the server did not start in time")

    def client(self) -> CoveyClient:
        """A client with the first key."""
        return CoveyClient(self.profile())

    def profile(self) -> Profile:
        """The address, and the first key."""
        said = (self.folder / "data" / "first-key.txt").read_text()
        values = dict(re.findall(r"export (COVEY_\w+)=(\S+)", said))
        return Profile(self.url, values["COVEY_API_KEY"], values["COVEY_WORKSPACE"])

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def diallers(self) -> list[int]:
        """The process ids of its diallers."""
        return children(self.pid, "covey.calls.trunks.dialler")

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def stop(self, patience: float = 60.0) -> int:
        """SIGTERM twice, so that nothing is waited for; its exit code."""
        assert self.process is not None
        for _ in range(2):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGTERM)
            await asyncio.sleep(0.2)
        return await asyncio.to_thread(self.process.wait, patience)


def children(parent: int, module: str) -> list[int]:
    """The processes below `parent` that run `module`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError):
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(stat[1]) == parent and module in (entry / "cmdline").read_bytes().decode().split("\0"):
                found.append(int(entry.name))
    return found


def demo_settings(phones: Phones, channels: int = 40, pace: float = 10.0) -> str:
    """Settings with the demo trunk pointed at running phones."""
    return f'[trunks.demo]\nkind = "demo"\nport = {phones.port}\nchannels = {channels}\ncalls_per_second = {pace}\n'


@contextlib.asynccontextmanager
async def served(folder: Path, settings: str) -> AsyncIterator[ServerProcess]:
    """A running server; it is ended on leaving."""
    server = ServerProcess(folder, settings)
    await server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            await server.stop()


def write_csv(path: Path, numbers: Iterable[str], extra: Sequence[str] = ()) -> Path:
    """A list of people with these numbers."""
    with path.open("w") as file:
        file.write(",".join(("phone_number", "first_name", *extra)) + "\n")
        for n, number in enumerate(numbers):
            file.write(",".join((number, f"Person{n}", *("x" for _ in extra))) + "\n")
    return path


def demo_numbers(count: int, endings: Sequence[int] = range(100)) -> list[str]:
    """`count` different fictional numbers with these last two digits, spread evenly."""
    areas = [area for area in range(201, 999) if area % 100 != 11]
    numbers = [f"+1{area}55501{ending:02d}" for area in areas for ending in endings]
    if count > len(numbers):
        raise ValueError(f"there are only {len(numbers)} such numbers")
    return numbers[:count]
