"""PostgreSQL: items a second through claim, run and finish, by several worker processes on one batch.

    python -m benchmarks postgres [ITEMS]

Everything real but the work, as in `engine`: limits and shares on, `fsync` and `synchronous_commit` on and read back,
a runner that does nothing. The worker processes share two things, the server and the batch. Each writes down every
run that it was given; what is lost or repeated is found by comparing these files.
"""

import asyncio
import contextlib
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, TextIO

import orjson
import psycopg
from tests.postgres_server import PostgresServer, Server

from covey.domain.batch import NewBatch, NewItem, Quota
from covey.domain.clock import SystemClock
from covey.domain.ids import new_id
from covey.domain.lane import Lane
from covey.engine.runner import Outcome, Run, Succeeded
from covey.engine.wakeups import Wakeups
from covey.engine.worker import Worker
from covey.metrics import Metrics
from covey.store.postgres.store import PostgresStore
from covey.store.store import Store

ITEMS = 100_000
AT_ONCE = 1000
RUNS = 3
PROCESSES = (2, 4)
PATIENCE = 600.0
NO_LIMIT = Quota(unended_batches=1 << 30, waiting_items=1 << 40, allow_duplicate=True)

Go = Callable[[], Awaitable[None]]
"""What a process calls once it is ready: returns when all are, and the time begins."""


@contextlib.contextmanager
def durable_server() -> Iterator[Server]:
    """The server that COVEY_TEST_DATABASE_URL names, or one of our own on a disk, which loses nothing."""
    named = os.environ.get("COVEY_TEST_DATABASE_URL")
    server = Server(named) if named else PostgresServer(durable=True, settings={"shared_buffers": "256MB"}).start()
    try:
        url = server.create_database("asked")
        print(f"PostgreSQL {asked(url, 'server_version')}, " + ", ".join(f"{k} {asked(url, k)}" for k in SAFE))
        print(f"an empty durable commit: {empty_commit(url) * 1e3:.2f} ms (median)", flush=True)
        yield server
    finally:
        server.close()


SAFE = ("fsync", "full_page_writes", "synchronous_commit")


def asked(url: str, setting: str) -> str:
    """What a session says of a setting."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
        return str(row and row[0])


def empty_commit(url: str, times: int = 300) -> float:
    """The median seconds of a transaction that writes next to nothing, one after the other in one session."""
    taken = []
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(times):
            began = time.perf_counter()
            connection.execute("SELECT pg_logical_emit_message(true, '', '')")
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def settle(url: str) -> None:
    """What autovacuum does within a minute of many new rows; no figure should hang on when it comes."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def race(processes: int, work: Callable[..., Awaitable[Any]], *arguments: Any) -> tuple[float, list[Any]]:
    """Run `work(go, *arguments)` in new processes that all go at once: (seconds until the last ended, what each
    returned). `work` and its arguments must be picklable. The time does not hold what comes before `go()`."""
    spawn = multiprocessing.get_context("spawn")
    pipes, children = [], []
    for _ in range(processes):
        ours, theirs = spawn.Pipe()
        child = spawn.Process(target=_child, args=(theirs, work, arguments), daemon=True)
        child.start()
        theirs.close()
        pipes.append(ours)
        children.append(child)
    for pipe in pipes:
        _heard(pipe)
    began = time.monotonic()
    for pipe in pipes:
        pipe.send("go")
    answers = [_heard(pipe) for pipe in pipes]
    for child in children:
        child.join(PATIENCE)
    return max(ended for ended, _ in answers) - began, [result for _, result in answers]


def _heard(pipe: Pipe) -> Any:
    if not pipe.poll(PATIENCE):
        raise TimeoutError("a process of the benchmark says nothing")
    return pipe.recv()


def _child(pipe: Pipe, work: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]) -> None:
    ended = 0.0

    async def go() -> None:
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)

    async def timed() -> Any:
        nonlocal ended
        result = await work(go, *arguments)
        ended = ended or time.monotonic()
        return result

    result = asyncio.run(timed())
    pipe.send((ended, result))


class NoOp:
    """A runner that does nothing but write down what it was given."""

    kind = "noop"

    def __init__(self, journal: TextIO) -> None:
        self._journal = journal

    async def run(self, run: Run) -> Outcome:
        run.started = run.start_at
        self._journal.write(f"{run.seq} {run.attempt}\n")
        return Succeeded("done", {}, 1.0)

    def load_config(self, config: bytes) -> Any:
        return orjson.loads(config)

    async def ping(self, lane: str) -> str | None:
        return None


async def fill(store: Store, items: int, lane: str = "lane", workspace: str = "workspace") -> str:
    """A batch of `items`; its id."""
    now = SystemClock().now()
    batch = new_id(now)
    await store.draft(NewBatch(batch, workspace, "noop", lane, b"{}", now), "bench")
    for first in range(0, items, 1000):
        await store.append(batch, first, [NewItem(b'{"row":1}')] * min(1000, items - first))
    await store.accept(batch, items, NO_LIMIT)
    return batch


async def covey_worker(go: Go, url: str, batch: str, folder: str) -> None:
    """One worker process: claims, runs and finishes until the batch has ended."""
    store, clock = PostgresStore(url), SystemClock()
    await store.open()
    with (Path(folder) / str(os.getpid())).open("w") as journal:
        worker = Worker(store, clock, Wakeups(), {"lane": NoOp(journal)}, AT_ONCE, Metrics())
        await worker.enlist()
        await go()
        worker.start()
        while not (await store.batch(batch)).ended:
            await asyncio.sleep(0.02)
        await worker.drain(10, asyncio.Event())
        await worker.stop()
    await store.close()


async def prepared(url: str, items: int, processes: int) -> str:
    """A database with one wide lane and one batch; the batch."""
    store = PostgresStore(url)
    await store.open()
    await store.put_lane(Lane("lane", AT_ONCE * processes))
    batch = await fill(store, items)
    await store.close()
    return batch


async def checked(url: str, batch: str, items: int, folder: str) -> list[int]:
    """How many runs each process was given, if every item was run once, and all are counted so. Raises otherwise.

    An attempt above the first stands for one that ended without a start: the process that claimed it stood still.
    """
    store = PostgresStore(url)
    await store.open()
    counts = (await store.batch(batch)).counts
    wrong = await store.recount(batch)
    await store.close()
    journals = [path.read_text().splitlines() for path in sorted(Path(folder).iterdir())]
    runs = [line.split() for lines in journals for line in lines]
    times = Counter(int(seq) for seq, _ in runs)
    repeated = sorted(seq for seq, n in times.items() if n > 1)
    assert not repeated, f"{len(repeated)} items ran more than once: {repeated[:10]}"
    lost = sorted(set(range(items)) - times.keys())
    assert not lost, f"{len(lost)} items never ran: {lost[:10]}"
    assert (counts.succeeded, wrong) == (items, {}), (counts, wrong)
    late = sum(attempt != "1" for _, attempt in runs)
    if late:
        print(f"  {late} items were claimed, came too late to start, and ran at a later attempt")
    return [len(lines) for lines in journals]


def covey(server: Server, items: int, processes: int) -> tuple[float, float]:
    """(seconds to accept a batch, seconds to drain it), checked."""
    url = server.create_database("covey")
    try:
        began = time.monotonic()
        batch = asyncio.run(prepared(url, items, processes))
        filled = time.monotonic() - began
        settle(url)
        with tempfile.TemporaryDirectory() as folder:
            drained, _ = race(processes, covey_worker, url, batch, folder)
            shares = asyncio.run(checked(url, batch, items, folder))
        print(f"  {processes} processes: {items / drained:>8,.0f} items/s; the processes ran {shares}", flush=True)
        return filled, drained
    finally:
        server.drop("covey")


def main() -> None:
    """Print every figure."""
    items = int(sys.argv[1]) if len(sys.argv) > 1 else ITEMS
    print(f"{items:,} items of one batch, {AT_ONCE} at once a process, medians of {RUNS}")
    with durable_server() as server:
        for processes in PROCESSES:
            rates = [items / covey(server, items, processes)[1] for _ in range(RUNS)]
            print(
                f"{processes} processes: {statistics.median(rates):,.0f} items/s "
                f"({min(rates):,.0f} … {max(rates):,.0f}); nothing lost, nothing repeated, recount right"
            )


if __name__ == "__main__":
    main()
