"""PostgreSQL: claims, finishes, cancels and status in databases of 1,000, 100,000 and 10,000,000 items.

    python -m benchmarks pg_growth [MINUTES] [ITEMS …]

The databases stand beside each other on one server and are measured in turns, so that whatever the machine does meets
all of them. In each, a snapshot has been open for MINUTES (default 10) while runs were claimed and given back, so that
every version of every hot row since then is still there; and the sweeper removes the half of the past that was erased.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psycopg
from tests.postgres_server import PostgresServer

from benchmarks.pg_workers import analyzed, fill, percentile, verdict
from covey.domain.batch import StopReason
from covey.domain.clock import SystemClock
from covey.domain.ids import new_id
from covey.domain.lane import Lane
from covey.domain.run import NOT_STARTED, ClaimedRuns, Finished, Outcome, Returned, Succeeded
from covey.engine.sweeper import Sweeper
from covey.engine.wakeups import Wakeups
from covey.store.postgres.store import PostgresStore

MINUTES = 10.0
SIZES = (1_000, 100_000, 10_000_000)
ROUNDS = 100
PORTION = 5
CANCELS = 40
EACH = 5
BATCH = 100_000
LOAD = 20
LOAD_SECONDS = 0.05
BAR = 1.5
PAST = timedelta(days=40)
WORKER = "bench-growth"

BATCHES = """
INSERT INTO batches (id, workspace, kind, lane, origin, config, notes, owner, max_tries, repeatable, exclusive,
    created_at, accepted_at, started_at, completed_at, erased_at)
VALUES (%(batch)s, 'workspace', 'logged', 'lane', 'batch', '{}', '{}', 'bench', 1, 0, 0,
    %(at)s, %(at)s, %(at)s, %(at)s, %(erased)s)
"""
COUNTS = """
INSERT INTO counts (batch, workspace, lane, open, total, cursor, succeeded)
VALUES (%(batch)s, 'workspace', 'lane', 0, %(items)s, %(items)s, %(items)s)
"""
OUTCOMES = "INSERT INTO outcomes (batch, code, n) VALUES (%(batch)s, 'done', %(items)s)"
ITEMS = (
    "INSERT INTO items (batch, seq, input) SELECT %(batch)s, n, '{\"row\": 1}' FROM generate_series(0, %(items)s - 1) n"
)
RUNS = """
INSERT INTO runs (batch, seq, attempt, last, state, code, message, worker, tries, started_at, ended_at, seconds, result)
SELECT %(batch)s, n, 1, 1, 'succeeded', 'done', '', 'bench', 1, %(at)s, %(at)s + n, 1.0, '{}'
FROM generate_series(0, %(items)s - 1) n
"""


@dataclass(slots=True)
class Database:
    """One database of a size, and what was measured in it: milliseconds by operation."""

    size: int
    url: str
    store: PostgresStore
    load: str
    work: str
    cancels: list[str]
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


async def past(url: str, items: int, erased: bool) -> None:
    """Batches that ended long ago; with `erased`, to be removed."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("SET synchronous_commit = off")
        for first in range(0, items, BATCH):
            ago = SystemClock().now() - PAST
            at = int(ago.timestamp() * 1e6)
            batch = {"batch": bytes.fromhex(new_id(ago)), "items": min(BATCH, items - first), "at": at}
            for statement in (BATCHES, COUNTS, OUTCOMES, ITEMS, RUNS):
                await connection.execute(statement, {**batch, "erased": at if erased else None})


async def made(server: PostgresServer, size: int) -> Database:
    """A database of so many items: what is measured, and for the rest a past of which half is erased."""
    began = time.monotonic()
    url = server.create_database(f"growth{size}")
    store = PostgresStore(url)
    await store.open()
    await store.put_lane(Lane("lane", 1000))
    await store.enlist(WORKER)
    rest = size - ROUNDS * PORTION - CANCELS * EACH - LOAD
    await past(url, rest // 2, erased=False)
    await past(url, rest - rest // 2, erased=True)
    load = await fill(store, url, LOAD, (1, 1))
    work = await fill(store, url, ROUNDS * PORTION, (1, 1))
    cancels = [await fill(store, url, EACH, (1, 1)) for _ in range(CANCELS)]
    for batch in (work, *cancels):
        await store.pause("workspace", batch, "benchmark")
    await analyzed(url)
    print(f"{size:,} items in {time.monotonic() - began:.0f} s", flush=True)
    return Database(size, url, store, load, work, cancels)


def finished(portion: ClaimedRuns, outcome: Outcome) -> list[Finished]:
    """All runs of a portion, come to `outcome`."""
    now = SystemClock().now()
    return [Finished(portion.batch, run.seq, run.attempt, outcome, now, now) for run in portion.runs]


async def age(databases: list[Database], seconds: float) -> list[float]:
    """Claim and give back in all databases for so long; how many milliseconds that took each time."""
    end, took = time.monotonic() + seconds, []
    while time.monotonic() < end:
        for database in databases:
            began = time.perf_counter()
            claim = await database.store.claim(WORKER, "lane", PORTION)
            assert claim.portion is not None
            await database.store.finish(WORKER, finished(claim.portion, Returned(NOT_STARTED)))
            took.append((time.perf_counter() - began) * 1e3)
        await asyncio.sleep(LOAD_SECONDS)
    return took


@asynccontextmanager
async def snapshot(url: str) -> AsyncIterator[None]:
    """A snapshot that stays open, as a long backup's or a forgotten session's."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await connection.execute("SELECT count(*) FROM workspaces")
        yield


async def measure(database: Database, number: int) -> None:
    """One round in one database."""
    store, took = database.store, database.took
    began = time.perf_counter()
    claim = await store.claim(WORKER, "lane", PORTION)
    claimed = time.perf_counter()
    assert claim.portion is not None
    assert len(claim.portion.runs) == PORTION, claim
    await store.finish(WORKER, finished(claim.portion, Succeeded("done", {}, 1.0)))
    ended = time.perf_counter()
    await store.batch(database.work)
    looked = time.perf_counter()
    took["claim"].append((claimed - began) * 1e3)
    took["finish"].append((ended - claimed) * 1e3)
    took["status"].append((looked - ended) * 1e3)
    if number < CANCELS:
        began = time.perf_counter()
        await store.stop("workspace", database.cancels[number], StopReason.cancel)
        took["cancel"].append((time.perf_counter() - began) * 1e3)


async def forget(batch: str) -> None:
    """These batches have no files."""


async def run(server: PostgresServer, minutes: float, sizes: list[int]) -> bool:
    """All of it; whether the bars were kept."""
    databases = [await made(server, size) for size in sizes]
    async with AsyncExitStack() as stack:
        for database in databases:
            await stack.enter_async_context(snapshot(database.url))
        took = await age(databases, minutes * 60)
        tenth = max(1, len(took) // 10)
        print(
            f"snapshots open for {minutes:g} min, in which {len(took) // len(databases):,} portions were claimed and "
            f"given back in each: median {statistics.median(took[:tenth]):.1f} ms in the first tenth of the time, "
            f"{statistics.median(took[-tenth:]):.1f} ms in the last",
            flush=True,
        )
        for database in databases:
            await database.store.pause("workspace", database.load, "benchmark")
            await database.store.resume("workspace", database.work)
            sweeper = Sweeper(database.store, SystemClock(), Wakeups(), WORKER, ["lane"], forget)
            sweeper.start()
            stack.push_async_callback(sweeper.stop)
        for number in range(ROUNDS):
            for database in databases:
                await measure(database, number)
    fine = report(databases)
    for database in databases:
        fine &= verdict(await database.store.recount(database.work) == {}, f"{database.size:,}: recount right")
        await database.store.close()
    return fine


def report(databases: list[Database]) -> bool:
    """Print the figures; whether all are within the bar of the smallest database."""
    fine = True
    for what in ("claim", "finish", "cancel", "status"):
        medians = [statistics.median(database.took[what]) for database in databases]
        for database, median in zip(databases, medians, strict=True):
            worst = percentile(database.took[what], 0.95)
            print(f"  {database.size:>12,} items: {what} median {median:.2f} ms, 95th percentile {worst:.2f} ms")
        ratio = max(medians) / medians[0]
        fine &= verdict(ratio <= BAR, f"{what}: {ratio:.2f} times the smallest database's")
    return fine


def main() -> None:
    """Print the figures; exit 1 if a bar was not kept."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    sizes = [int(word) for word in sys.argv[2:]] or list(SIZES)
    settings = {"shared_buffers": "512MB", "max_wal_size": "8GB"}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        server = PostgresServer(durable=True, settings=settings, folder=Path(folder)).start()
        try:
            fine = asyncio.run(run(server, minutes, sizes))
        finally:
            server.close()
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
