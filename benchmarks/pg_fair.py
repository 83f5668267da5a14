"""PostgreSQL: fairness across 4 worker processes.

    python -m benchmarks pg_fair

Two equal workspaces over 2,000 short runs; a batch of 10 beside one of 100,000 in the same workspace; 200 workspaces
with one long batch each on 100 slots. By the start logs.
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.pg_workers import Span, analyzed, fill, spans, verdict, workers
from benchmarks.postgres import durable_server
from covey.domain.lane import Lane
from covey.store.postgres.store import PostgresStore

WORKERS = 4
SHORT = (0.02, 0.08)
RUNS = 2_000
APART = 0.05
LONG = (0.5, 1.5)
MEAN = 1.0
SLOTS = 100
SMALL = 10
MANY = 200


async def opened(url: str, slots: int) -> PostgresStore:
    """A store with one lane."""
    store = PostgresStore(url)
    await store.open()
    await store.put_lane(Lane("lane", slots))
    return store


async def started(folder: Path, enough: int, seconds: float) -> list[Span]:
    """Wait until so many runs have started; all of them."""
    end = time.monotonic() + seconds
    while len(runs := spans(folder)) < enough and time.monotonic() < end:
        await asyncio.sleep(0.2)
    return runs


async def equals(url: str, folder: Path) -> bool:
    """Two equal workspaces: how far their shares of the first 2,000 runs are apart."""
    store = await opened(url, 20)
    for workspace in ("one", "two"):
        await fill(store, url, 2 * RUNS, SHORT, workspace=workspace)
    with workers(url, WORKERS, "lane", 20, folder):
        runs = (await started(folder, RUNS, 60))[:RUNS]
    await store.close()
    had = Counter(run.workspace for run in runs)
    apart = abs(had["one"] - had["two"]) / (RUNS / 2)
    return verdict(
        len(runs) == RUNS and apart <= APART,
        f"two equal workspaces over {len(runs):,} runs: {had['one']} and {had['two']}, {apart:.1%} apart",
    )


async def small_beside_large(url: str, folder: Path) -> bool:
    """How many runs of the large batch start between the acceptance of the small one and its last start."""
    store = await opened(url, SLOTS)
    large = await fill(store, url, 100_000, LONG)
    await analyzed(url)
    with workers(url, WORKERS, "lane", SLOTS, folder):
        await started(folder, 3 * SLOTS, 30)
        small = await fill(store, url, SMALL, LONG)
        accepted = time.monotonic()
        while sum(run.batch == small for run in spans(folder)) < SMALL and time.monotonic() < accepted + 20:
            await asyncio.sleep(0.2)
    await store.close()
    runs = [run for run in spans(folder) if run.start >= accepted]
    mine = [run.start for run in runs if run.batch == small]
    last = max(mine, default=accepted + 99)
    between = sum(run.batch == large and run.start <= last for run in runs)
    return verdict(
        len(mine) == SMALL and last - accepted <= MEAN and between <= SMALL,
        f"a batch of {SMALL} beside one of 100,000: all started {last - accepted:.2f} s after its acceptance "
        f"(slots fall free at {SLOTS / MEAN:.0f} a second), {between} of the large one between",
    )


async def everybody(url: str, folder: Path) -> bool:
    """When the last of many workspaces is served for the first time."""
    store = await opened(url, SLOTS)
    for n in range(MANY):
        await fill(store, url, 1000, LONG, workspace=f"w{n}")
    await analyzed(url)
    with workers(url, WORKERS, "lane", SLOTS, folder):
        await started(folder, 4 * MANY, 30)
    await store.close()
    runs = spans(folder)
    first: dict[str, float] = {}
    for run in runs:
        first.setdefault(run.workspace, run.start - runs[0].start)
    last = max(first.values())
    return verdict(
        len(first) == MANY and last <= 2 * MEAN,
        f"{len(first)} workspaces with one long batch each on {SLOTS} slots: all served in {last:.2f} s "
        f"({last / MEAN:.1f} mean durations)",
    )


def main() -> None:
    """Print the figures; exit 1 if a bar was not kept."""
    fine = True
    with durable_server() as server:
        for number, part in enumerate((equals, small_beside_large, everybody)):
            with tempfile.TemporaryDirectory() as folder:
                fine &= asyncio.run(part(server.create_database(f"fair{number}"), Path(folder)))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
