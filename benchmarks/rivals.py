"""Rivals: Covey, procrastinate and PgQueuer on one PostgreSQL server, in one run.

    python -m benchmarks rivals [JOBS]

Jobs that do nothing, through enqueue, claim, run and finish, by two worker processes, with `fsync` and
`synchronous_commit` on. Each is used as its own documentation says for throughput: jobs enqueued a thousand at a time;
procrastinate with asynchronous tasks, a high concurrency and no more connections than help; PgQueuer with asyncpg on a
direct connection, `pgq autovac`, its default durability and a larger batch. What a setting is worth depends on the
machine, so a short run of each setting chooses the one that is measured.

The three do not do the same: Covey also keeps limits, fair shares, counts and a record of every run; procrastinate
keeps finished jobs and their events; PgQueuer deletes a finished job and keeps a line of its log.
"""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import procrastinate
from pgqueuer import AsyncpgDriver, Queries, QueueManager
from pgqueuer.models import Job
from pgqueuer.types import QueueExecutionMode
from tests.postgres_server import Server

from benchmarks.postgres import Go, covey, durable_server, race, settle

JOBS = 20_000
TRIAL = 2_000
PIECE = 1000
PROCESSES = 2
ROUNDS = 3

CONCURRENCIES = (10, 30, 100)
CONNECTIONS = 10
BATCH_SIZES = (10, 100, 500)

Rates = tuple[float, float]
"""(seconds to enqueue, seconds to drain)."""


def procrastinate_app(url: str) -> tuple[procrastinate.App, Any]:
    """An app with one task that does nothing."""
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=2, max_size=CONNECTIONS)
    app = procrastinate.App(connector=connector)

    @app.task(name="nothing")
    async def nothing(row: int) -> None:
        return

    return app, nothing


async def procrastinate_fill(url: str, jobs: int) -> float:
    app, nothing = procrastinate_app(url)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        began = time.monotonic()
        for rows in pieces(jobs):
            await nothing.batch_defer_async(*({"row": row} for row in rows))
        return time.monotonic() - began


async def procrastinate_worker(go: Go, url: str, concurrency: int) -> None:
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    app, _ = procrastinate_app(url)
    async with app.open_async():
        await go()
        await app.run_worker_async(concurrency=concurrency, wait=False, install_signal_handlers=False)


async def procrastinate_done(url: str) -> int:
    app, _ = procrastinate_app(url)
    async with app.open_async():
        return len(list(await app.job_manager.list_jobs_async(status="succeeded")))


async def pgqueuer_fill(url: str, jobs: int) -> float:
    async with connected(url) as connection:
        queries = Queries(AsyncpgDriver(connection))
        await queries.install()
        await queries.optimize_autovacuum()
        began = time.monotonic()
        for rows in pieces(jobs):
            names: list[str] = ["nothing"] * len(rows)
            payloads: list[bytes | None] = [str(row).encode() for row in rows]
            await queries.enqueue(names, payloads, [0] * len(rows))
        return time.monotonic() - began


async def pgqueuer_worker(go: Go, url: str, batch_size: int) -> int:
    done = 0
    async with connected(url) as connection:
        manager = QueueManager(Queries(AsyncpgDriver(connection)))

        @manager.entrypoint("nothing")
        async def nothing(job: Job) -> None:
            nonlocal done
            done += 1

        await go()
        await manager.run(batch_size=batch_size, mode=QueueExecutionMode.drain)
    return done


async def pgqueuer_left(url: str) -> int:
    async with connected(url) as connection:
        return sum(one.count for one in await Queries(AsyncpgDriver(connection)).queue_size())


@contextlib.asynccontextmanager
async def connected(url: str) -> Any:
    """One connection of asyncpg."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def pieces(jobs: int) -> list[range]:
    """Rows in pieces that are enqueued at once."""
    return [range(first, min(first + PIECE, jobs)) for first in range(0, jobs, PIECE)]


def with_procrastinate(server: Server, jobs: int, concurrency: int) -> Rates:
    """Enqueue and drain with procrastinate."""
    url = server.create_database("procrastinate")
    try:
        filled = asyncio.run(procrastinate_fill(url, jobs))
        settle(url)
        drained, _ = race(PROCESSES, procrastinate_worker, url, concurrency)
        assert asyncio.run(procrastinate_done(url)) == jobs
        return filled, drained
    finally:
        server.drop("procrastinate")


def with_pgqueuer(server: Server, jobs: int, batch_size: int) -> Rates:
    """Enqueue and drain with PgQueuer."""
    url = server.create_database("pgqueuer")
    try:
        filled = asyncio.run(pgqueuer_fill(url, jobs))
        settle(url)
        drained, done = race(PROCESSES, pgqueuer_worker, url, batch_size)
        assert sum(done) == jobs, done
        assert asyncio.run(pgqueuer_left(url)) == 0
        return filled, drained
    finally:
        server.drop("pgqueuer")


def best(measure: Callable[[Server, int, int], Rates], server: Server, settings: tuple[int, ...]) -> int:
    """The setting with which a short run is drained fastest."""
    return min(settings, key=lambda setting: measure(server, TRIAL, setting)[1])


def line(name: str, jobs: int, rates: Rates) -> None:
    """Print one contestant's figures."""
    filled, drained = rates
    print(
        f"{name:<32} {jobs / filled:>8,.0f} enqueued/s  {jobs / drained:>8,.0f} run/s  "
        f"{jobs / (filled + drained):>8,.0f} jobs/s in all",
        flush=True,
    )


def middle(rounds: list[Rates]) -> Rates:
    """The round with the median time in all."""
    return sorted(rounds, key=sum)[len(rounds) // 2]


def main() -> None:
    """Print every figure."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else JOBS
    print(f"{jobs:,} jobs that do nothing, {PROCESSES} worker processes, {ROUNDS} rounds in turn, medians")
    with durable_server() as server:
        concurrency = best(with_procrastinate, server, CONCURRENCIES)
        batch_size = best(with_pgqueuer, server, BATCH_SIZES)
        contestants: dict[str, Callable[[], Rates]] = {
            "Covey": lambda: covey(server, jobs, PROCESSES),
            f"procrastinate, concurrency {concurrency}": lambda: with_procrastinate(server, jobs, concurrency),
            f"PgQueuer, batch_size {batch_size}": lambda: with_pgqueuer(server, jobs, batch_size),
        }
        rounds: dict[str, list[Rates]] = {name: [] for name in contestants}
        for _ in range(ROUNDS):
            for name, measure in contestants.items():
                rounds[name].append(measure())
                line(name, jobs, rounds[name][-1])
        print("medians:")
        ours = middle(rounds["Covey"])
        for name in contestants:
            line(name, jobs, middle(rounds[name]))
        for name in list(contestants)[1:]:
            rival = middle(rounds[name])
            print(f"Covey : {name} = {rival[1] / ours[1]:.2f} run, {sum(rival) / sum(ours):.2f} in all")


if __name__ == "__main__":
    main()
