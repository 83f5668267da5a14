"""Headers: how many calls start, and how soon /livez answers, beside three connections that send without an end.

    python -m benchmarks headers [SECONDS]

Calls on the simulated trunk at ten a second, by its start log. A process of its own sends, on three connections at
once, and connects again whenever it is cut off. Each kind beside quiet time before it; the last has a key.
"""

import asyncio
import contextlib
import multiprocessing
import resource
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx2

from benchmarks.serving import AGENT, ServerProcess, served, write_csv
from benchmarks.upload import memory, percentile
from covey.client import StartOptions

PACE = 10
CONNECTIONS = 3
UPLOAD = b"POST /v1/api/batch-calls HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
KINDS = {
    "an endless header": (b"GET /livez HTTP/1.1\r\nX-A: ", b"a" * 65536),
    "an endless URL": (b"GET /", b"a" * 65536),
    "endless headers": (b"GET /livez HTTP/1.1\r\n", b"a: b\r\n" * 10_000),
    "empty lines": (b"", b"\r\n" * 32_768),
    "endless trailers": (UPLOAD + b"0\r\n", b"X-A: aaaa\r\n" * 6_000),
    "chunks of one byte": (UPLOAD, b"1\r\na\r\n" * 10_000),
    "requests": (b"", b"GET /livez HTTP/1.1\r\n\r\n" * 3_000),
    "requests with a wrong key": (b"", b"GET /v1/api/agents HTTP/1.1\r\nx-api-key: wrong\r\n\r\n" * 3_000),
    "requests with a key": (b"", b"GET /v1/api/agents HTTP/1.1\r\n%s\r\n" * 100),
}


def settings(folder: Path) -> str:
    """A trunk of short calls whose starts are written down."""
    return (
        '[calls]\ndefault_trunk = "simulated"\n[trunks.simulated]\nkind = "simulated"\nspeed = 4.0\n'
        f'channels = 1000\ncalls_per_second = {PACE}\nstart_log = "{folder / "starts.log"}"\n'
    )


def attack(port: int, head: bytes, more: bytes) -> None:
    """Keep the connections busy for ever; whatever is answered is read."""

    def read(line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while line.recv(1 << 20):
                pass

    def one() -> None:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as line:
                threading.Thread(target=read, args=(line,)).start()
                line.sendall(head)
                while True:
                    line.sendall(more)

    for _ in range(CONNECTIONS):
        threading.Thread(target=one).start()


async def answers(url: str, seconds: float) -> list[float]:
    """How long /livez takes, asked twenty times a second; one that gets no answer took ten seconds."""
    taken: list[float] = []
    until = time.monotonic() + seconds
    async with httpx2.AsyncClient(timeout=10) as http:
        while (began := time.monotonic()) < until:
            with contextlib.suppress(httpx2.HTTPError):
                await http.get(f"{url}/livez")
            taken.append(time.monotonic() - began)
            await asyncio.sleep(0.05)
    return taken


async def measured(server: ServerProcess, starts: Path, seconds: float) -> tuple[float, float, float, float]:
    """Starts a second, the 99th percentile of /livez, the server's share of a core, megabytes."""
    cpu = Path(f"/proc/{server.pid}/stat")

    def used() -> float:
        fields = cpu.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    lines, before, began = len(starts.read_text().splitlines()), used(), time.monotonic()
    taken = await answers(server.url, seconds)
    lasted = time.monotonic() - began
    started = len(starts.read_text().splitlines()) - lines
    held = await asyncio.to_thread(memory, server.pid)
    return started / lasted, percentile(taken, 0.99), (used() - before) / lasted, held


def row(what: str, figures: tuple[float, float, float, float]) -> None:
    """Print one."""
    pace, slow, cpu, held = figures
    print(
        f"{what:25} {pace:5.2f} starts a second, /livez {slow * 1e3:6.1f} ms, {cpu:.2f} cores, {held:.0f} MB",
        flush=True,
    )


async def run(folder: Path, seconds: float) -> None:
    """Measure each kind beside a quiet time just before it."""
    async with served(folder, settings(folder)) as server, server.client() as covey:
        port, profile = int(server.url.rsplit(":", 1)[1]), server.profile()
        key = f"x-api-key: {profile.api_key}\r\nx-workspace-id: {profile.workspace}\r\n".encode()
        agent = await covey.agents.create(AGENT)
        numbers = [f"+1202{2_000_000 + n}" for n in range(int(seconds * PACE * 2 * (len(KINDS) + 2)) + 1000)]
        await covey.batches.start(write_csv(folder / "list.csv", numbers), agent.id, StartOptions())
        starts = folder / "starts.log"
        await asyncio.sleep(3)
        for kind, (head, more) in KINDS.items():
            row("quiet", await measured(server, starts, seconds))
            more = more.replace(b"%s", key)
            attacker = multiprocessing.get_context("spawn").Process(target=attack, args=(port, head, more))
            attacker.start()
            try:
                row(kind, await measured(server, starts, seconds))
            finally:
                attacker.kill()
                attacker.join()


def main() -> None:
    """Print the figures."""
    seconds = float(sys.argv[1]) if sys.argv[1:] else 20.0
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(dir=".") as name:
        asyncio.run(run(Path(name).absolute(), seconds))
