"""PostgreSQL: 1,000 cancels at random moments with a million items waiting and 4 worker processes busy.

    python -m benchmarks pg_cancels [CANCELS]

One batch of 1,000,000 waits all the time; the canceled ones have 1,000 items each. Before each cancel an empty durable
transaction is timed in the same process, and the two are compared. By the start logs: nothing that a stop counted
canceled ever starts; the workers hear of each stop, and what they have not started does not start later than 100 ms
after its acknowledgement, at the 99th percentile, and nothing later than 500 ms. Then 100 more by `DELETE` of a
`covey serve` beside the workers.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.pg_workers import Span, analyzed, fill, percentile, spans, verdict, workers
from benchmarks.postgres import durable_server
from benchmarks.serving import ServerProcess
from covey.client import CoveyClient
from covey.domain.batch import StopReason
from covey.domain.lane import Lane
from covey.domain.run import START_LEASE_SECONDS
from covey.store.postgres.store import PostgresStore

CANCELS = 1_000
BY_HTTP = 100
WAITING = 1_000_000
EACH = 1_000
WORKERS = 4
SLOTS = 200
TAKES = (1.0, 3.0)
MOMENTS = (0.02, 0.2)
BAR_MS = 10.0
ELSEWHERE_SECONDS = 0.1
EMPTY = "SELECT pg_logical_emit_message(true, '', '')"


@dataclass(frozen=True, slots=True)
class Cancel:
    """One acknowledged stop, with the empty commit before it; seconds, `at` monotonic."""

    batch: str
    at: float
    took: float
    commit: float
    active: int
    canceled: int


async def canceled(store: PostgresStore, empty: psycopg.AsyncConnection, batch: str) -> Cancel:
    """Time an empty commit, then a stop."""
    began = time.perf_counter()
    await empty.execute(EMPTY)
    between = time.perf_counter()
    stopped = await store.stop("workspace", batch, StopReason.cancel)
    took, at = time.perf_counter() - between, time.monotonic()
    counts = stopped.batch.counts
    return Cancel(batch, at, took, between - began, counts.active, counts.canceled)


async def by_http(covey: CoveyClient, batch: str) -> Cancel:
    """Time a DELETE."""
    began = time.perf_counter()
    answer = (await covey.batches.cancel(f"batch_{batch}")).details
    took, at = time.perf_counter() - began, time.monotonic()
    return Cancel(batch, at, took, 0.0, answer.active_calls, answer.cancelled_calls)


async def run(url: str, folder: Path, cancels: int) -> bool:
    """All of it, with a server beside; whether the bars were kept."""
    store = PostgresStore(url)
    await store.open()
    await store.enlist("bench")
    await store.put_lane(Lane("lane", SLOTS))
    server = ServerProcess(folder / "server", f'database = "{url}"\n')
    await server.start()
    try:
        return await judge(store, url, folder, server, cancels)
    finally:
        await server.stop()
        await store.retire("bench")
        await store.close()


async def judge(store: PostgresStore, url: str, folder: Path, server: ServerProcess, cancels: int) -> bool:
    """Fill, cancel, and look into the logs; whether the bars were kept."""
    chance, covey = random.Random(7), server.client()
    began = time.monotonic()
    large = await fill(store, url, WAITING, TAKES)
    batches = [await fill(store, url, EACH, TAKES) for _ in range(cancels)]
    calls = {"kind": "calls", "workspace": covey.profile.workspace}
    for_http = [await fill(store, url, EACH, TAKES, **calls) for _ in range(BY_HTTP)]
    await analyzed(url)
    print(f"{WAITING + (cancels + BY_HTTP) * EACH:,} items in {time.monotonic() - began:.0f} s", flush=True)
    chance.shuffle(batches)
    done = []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as empty:
        for _ in range(20):
            await empty.execute(EMPTY)
        with workers(url, WORKERS, "lane", SLOTS, folder):
            await asyncio.sleep(2)
            for batch in batches:
                await asyncio.sleep(chance.uniform(*MOMENTS))
                done.append(await canceled(store, empty, batch))
            asked = []
            for batch in for_http:
                await asyncio.sleep(chance.uniform(*MOMENTS))
                asked.append(await by_http(covey, batch))
            await asyncio.sleep(1)
            last = await canceled(store, empty, large)
            await asyncio.sleep(2)
    await covey.close()
    quick, fine, every = timing(done, asked, last), True, (*done, *asked, last)
    by_batch: dict[str, list[Span]] = defaultdict(list)
    for span in spans(folder):
        by_batch[span.batch].append(span)
    for cancel in every:
        fine &= await judged(store, cancel, by_batch[cancel.batch])
        fine &= cancel is last or await store.recount(cancel.batch) == {}
    afterwards = [span.start - one.at for one in every for span in by_batch[one.batch] if span.start > one.at]
    started = sum(map(len, by_batch.values()))
    fine = verdict(fine, "nothing that was counted canceled has started; recounts right")
    fine &= verdict(
        max(afterwards, default=0) <= START_LEASE_SECONDS,
        f"{started:,} starts; {len(afterwards)} after the stop of their batch, the latest "
        f"{max(afterwards, default=0) * 1e3:.0f} ms",
    )
    in_time = percentile(afterwards, 0.99) if afterwards else 0.0
    fine &= verdict(
        in_time <= ELSEWHERE_SECONDS,
        f"99th percentile of the starts after the stop of their batch: {in_time * 1e3:.0f} ms of "
        f"{ELSEWHERE_SECONDS * 1e3:.0f}",
    )
    return fine and quick


def timing(done: list[Cancel], asked: list[Cancel], last: Cancel) -> bool:
    """Print how long they took; whether that is within the bar."""
    took, commits = [one.took * 1e3 for one in done], [one.commit * 1e3 for one in done]
    more = [(one.took - one.commit) * 1e3 for one in done]
    http = [one.took * 1e3 for one in asked]
    rows = {"an empty durable commit": commits, "a cancel": took, "a cancel's more": more, "a DELETE over HTTP": http}
    for name, values in rows.items():
        print(
            f"  {name}: median {statistics.median(values):.1f} ms, 99th percentile {percentile(values, 0.99):.1f} ms, "
            f"worst {max(values):.1f} ms"
        )
    print(f"  the cancel of the {WAITING:,}: {last.took * 1e3:.1f} ms")
    beyond = percentile(took, 0.99) - percentile(commits, 0.99)
    return verdict(
        percentile(more, 0.99) <= BAR_MS,
        f"99th percentile of what {len(done):,} cancels took longer than the commit before: "
        f"{percentile(more, 0.99):.1f} ms of {BAR_MS:.0f} (of the two percentiles: {beyond:.1f} ms)",
    )


async def judged(store: PostgresStore, cancel: Cancel, mine: list[Span]) -> bool:
    """Whether nobody started who was counted canceled, and the counts are right."""
    batch = await store.batch(cancel.batch)
    items = {span.seq for span in mine}
    late = {span.seq for span in mine if span.start > cancel.at}
    ended = batch.counts.succeeded + batch.counts.failed
    fine = batch.ended and ended == len(items) and len(late) <= cancel.active
    fine = fine and batch.counts.canceled >= cancel.canceled
    if not fine:
        print(f"  WRONG {cancel}: {len(items)} started, {len(late)} after the stop; now {batch.counts}")
    return fine


def main() -> None:
    """Print the figures; exit 1 if a bar was not kept."""
    cancels = int(sys.argv[1]) if len(sys.argv) > 1 else CANCELS
    with durable_server() as server, tempfile.TemporaryDirectory() as folder:
        fine = asyncio.run(run(server.create_database("cancels"), Path(folder), cancels))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
