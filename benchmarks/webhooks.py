"""Webhooks: 10,000 item events to a healthy receiver beside dead ones, from a real server.

    python -m benchmarks webhooks [EVENTS [EVENTS_A_SECOND]]

A batch of simulated calls ends at a steady pace; five endpoints want to hear of every item: a healthy one, one that
takes connections and never answers, one that refuses them, one that answers 500 and one that needs two seconds for
each answer. The healthy one writes down what came when. On SQLite, then on a PostgreSQL of its own.
"""

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.postgres_server import PostgresServer

from benchmarks.serving import AGENT, ServerProcess, demo_numbers, served, write_csv
from covey.client import StartOptions

EVENTS = 10_000
A_SECOND = 200.0
WANTED = 2.0
"""So many seconds after it happened the healthy receiver has everything."""

PATIENCE = 300.0
ITEMS = ["item.succeeded", "item.failed"]
ENDED = frozenset({"batch.completed", "batch.canceled", "batch.expired", "batch.failed"})


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request that a receiver took: when, the id that it bore, and what it told of."""

    at: float
    id: str
    type: str
    told_at: float
    call: str | None
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Receiver:
    """An HTTP server that takes deliveries; `delay` (None: for ever) and `status` are how it answers."""

    status: str = "204 No Content"
    delay: float | None = 0.0
    url: str = ""
    got: list[Receipt] = field(default_factory=list)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def listening(self, host: str) -> AsyncIterator["Receiver"]:
        """Take deliveries inside this block."""
        server = await asyncio.start_server(self._talk, host, 0)
        self.url = f"http://{host}:{server.sockets[0].getsockname()[1]}/hook"
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()
            await server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._take(reader, writer):
                pass
        self._writers.discard(writer)
        writer.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.got.append(receipt(headers, body))
        if self.delay is None:
            await reader.read()
            return False
        await asyncio.sleep(self.delay)
        writer.write(f"HTTP/1.1 {self.status}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        return headers.get("connection", "") != "close"


def receipt(headers: dict[str, str], body: bytes) -> Receipt:
    """What a request in the style `standard` says."""
    told: Any = json.loads(body)
    at = datetime.fromisoformat(told["timestamp"]).timestamp()
    return Receipt(time.time(), headers["webhook-id"], told["type"], at, told["data"].get("callId"), headers, body)


def settings(a_second: float, more: str = "") -> str:
    """A server whose simulated calls end at this pace, and which may tell receivers on this machine."""
    return (
        f'{more}\n[calls]\ndefault_trunk = "simulated"\n[fetch]\nallow = ["127.0.0.0/8"]\n[trunks.simulated]\n'
        f'kind = "simulated"\nspeed = 100.0\nchannels = 500\ncalls_per_second = {a_second}\n'
    )


async def measured(folder: Path, events: int, a_second: float, more: str = "") -> list[str]:
    """Tell so many events at this pace; what went wrong."""
    receivers = {
        "healthy": Receiver(),
        "silent": Receiver(delay=None),
        "failing": Receiver("500 Internal Server Error"),
        "slow": Receiver(delay=2.0),
    }
    async with contextlib.AsyncExitStack() as stack:
        for n, one in enumerate(receivers.values()):
            await stack.enter_async_context(one.listening(f"127.0.0.{n + 2}"))
        server = await stack.enter_async_context(served(folder, settings(a_second, more)))
        covey = await stack.enter_async_context(server.client())
        for url in (*(one.url for name, one in receivers.items() if name != "healthy"), "http://127.0.0.9:9/refused"):
            await covey.webhooks.create(url, ITEMS)
        await covey.webhooks.create(receivers["healthy"].url, [*ITEMS, *sorted(ENDED)])
        agent = await covey.agents.create(AGENT)
        people = write_csv(folder / "people.csv", demo_numbers(events))
        before = _cpu(server)
        await covey.batches.start(people, agent.id, StartOptions(allow_duplicate=True))
        got = receivers["healthy"].got
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not (ENDED & {one.type for one in got[-50:]} and len(got) > events):
            await asyncio.sleep(0.2)
        await asyncio.sleep(1)
        used = _cpu(server) - before
    return judged(got, events, used)


def _cpu(server: ServerProcess) -> float:
    """The CPU seconds that the server has used."""
    user, system = (Path("/proc") / str(server.pid) / "stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def judged(got: list[Receipt], events: int, cpu: float) -> list[str]:
    """Print what the healthy receiver saw; what was wrong with it."""
    items = [one for one in got if one.call is not None]
    first: dict[str, Receipt] = {}
    ids = defaultdict(set)
    for one in items:
        first.setdefault(one.id, one)
        ids[one.call].add(one.id)
    if not first:
        return ["nothing was received"]
    late = sorted(one.at - one.told_at for one in first.values())
    told = sorted(one.told_at for one in first.values())
    seen = sorted(one.at for one in first.values())
    rates = [len(each) / (each[-1] - each[0]) for each in (told, seen)]
    print(f"  {len(told)} events told at {rates[0]:.0f} a second, received at {rates[1]:.0f} a second")
    print(f"  the server took {cpu / len(told) * 1e3:.2f} ms of CPU for each, its call included")
    median, p99 = statistics.median(late), late[len(late) * 99 // 100]
    print(f"  from event to receipt: median {median:.3f} s, p99 {p99:.3f} s, worst {late[-1]:.3f} s")
    twice = sum(1 for each in ids.values() if len(each) > 1)
    again = Counter(one.id for one in items).total() - len(first)
    print(f"  lost {events - len(ids)}, told under two ids {twice}, sent again under the same id {again}", flush=True)
    wrong = [f"{events - len(ids)} events were lost"] if len(ids) != events else []
    wrong += [f"{twice} events were told twice"] if twice else []
    return wrong + ([f"the last came {late[-1]:.1f} s after its event"] if late[-1] > WANTED else [])


def main() -> None:
    """Measure on both databases; exit 1 if anything was lost, told twice or late."""
    given = [float(word) for word in sys.argv[1:]]
    events, a_second = int(given[0]) if given else EVENTS, given[1] if len(given) > 1 else A_SECOND
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        print(f"SQLite, {a_second:g} events a second to each of five endpoints")
        wrong += asyncio.run(measured(Path(name), events, a_second))
    with tempfile.TemporaryDirectory() as name, contextlib.closing(PostgresServer(durable=True).start()) as postgres:
        url = postgres.create_database("webhooks")
        print(f"PostgreSQL, {a_second:g} events a second to each of five endpoints")
        more = f'database = "{url}"\nsecret = "{"s" * 40}"'
        wrong += asyncio.run(measured(Path(name), events, a_second, more))
    for text in wrong:
        print("WRONG " + text)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
