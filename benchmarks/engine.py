"""Engine: items a second through claim, run and finish; how long stops, looks and choices take.

    python -m benchmarks engine

Everything real but the work: the same dispatcher, completer and store that calls use, limits and shares on,
`synchronous=FULL` read back, one process, a runner that does nothing.
"""

import asyncio
import itertools
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import orjson

from covey.domain.batch import NewBatch, NewItem, Quota, StopReason
from covey.domain.clock import SystemClock
from covey.domain.ids import new_id
from covey.domain.lane import Lane
from covey.engine.runner import Outcome, Run, Succeeded
from covey.engine.wakeups import Wakeups
from covey.engine.worker import Worker
from covey.metrics import Metrics
from covey.store.sqlite import SqliteStore
from covey.store.sqlite.transaction import connect
from covey.store.statements import statements

ITEMS = 100_000
AT_ONCE = 1000
RUNS = 5
MILLION = 1_000_000
NO_LIMIT = Quota(unended_batches=1 << 30, waiting_items=1 << 40, allow_duplicate=True)


class NoOp:
    """A runner that does nothing, with a result of a given size."""

    kind = "noop"

    def __init__(self, result_bytes: int) -> None:
        self._result = {"text": "x" * result_bytes} if result_bytes else {}

    async def run(self, run: Run) -> Outcome:
        run.started = run.start_at
        return Succeeded("done", self._result, 1.0)

    def load_config(self, config: bytes) -> Any:
        return orjson.loads(config)

    async def ping(self, lane: str) -> str | None:
        return None


async def fill(store: SqliteStore, workspace: str, items: int, owner: str = "bench") -> str:
    """A batch of `items` in the store; its id."""
    batch = new_id(store.clock.now())
    await store.draft(NewBatch(batch, workspace, "noop", "lane", b"{}", store.clock.now()), owner)
    for first in range(0, items, 1000):
        piece = [NewItem(b'{"row":1}') for _ in range(min(1000, items - first))]
        await store.append(batch, first, piece)
    await store.accept(batch, items, NO_LIMIT)
    return batch


async def opened(folder: Path) -> SqliteStore:
    """A new store with one wide lane."""
    store = SqliteStore(folder / "covey.db", SystemClock())
    await store.open()
    await store.put_lane(Lane("lane", AT_ONCE))
    return store


async def throughput(folder: Path, result_bytes: int) -> tuple[float, float]:
    """(items a second, microseconds of CPU an item) for one drained batch."""
    store, wakeups = await opened(folder), Wakeups()
    batch = await fill(store, "workspace", ITEMS)
    worker = Worker(store, store.clock, wakeups, {"lane": NoOp(result_bytes)}, AT_ONCE, Metrics())
    await worker.enlist()
    cpu, began = time.process_time(), time.monotonic()
    worker.start()
    while not (await store.batch(batch)).ended:
        await asyncio.sleep(0.05)
    seconds, used = time.monotonic() - began, time.process_time() - cpu
    counts = (await store.batch(batch)).counts
    assert counts.succeeded == ITEMS, counts
    assert await store.recount(batch) == {}
    await worker.drain(10, asyncio.Event())
    await worker.stop()
    await store.close()
    return ITEMS / seconds, used / ITEMS * 1e6


async def timed(times: int, action: Callable[[], Awaitable[object]]) -> float:
    """The median seconds of an action."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await action()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


async def stops(folder: Path, items: int) -> dict[str, float]:
    """Median milliseconds of an empty durable commit, a stop, and a look, with `items` waiting."""
    store = await opened(folder)
    counter = itertools.count()
    batches = [await fill(store, "workspace", items) for _ in range(RUNS if items >= MILLION else 15)]
    await store.put_lane(Lane("other", 1))
    commit = await timed(200, lambda: store.put_lane(Lane("other", 1 + next(counter))))
    look = await timed(50, lambda: store.batch(batches[0]))
    taken = []
    for batch in batches:
        began = time.perf_counter()
        await store.stop("workspace", batch, StopReason.cancel)
        taken.append(time.perf_counter() - began)
    await store.close()
    return {"commit": commit * 1e3, "stop": statistics.median(taken) * 1e3, "look": look * 1e3}


async def choosing(folder: Path) -> float:
    """Median milliseconds of a claim's choice among 10,000 batches of 1,000 workspaces, 9,000 with nothing due."""
    store = await opened(folder)
    later = store.clock.now() + timedelta(hours=1)
    for n in range(10_000):
        batch, now = new_id(store.clock.now()), store.clock.now()
        start = None if n % 10 == 0 else later
        new = NewBatch(batch, f"w{n // 10}", "noop", "lane", b"{}", now, start_at=start)
        await asyncio.gather(
            store.draft(new, "bench"), store.append(batch, 0, [NewItem(b"{}")]), store.accept(batch, 1, NO_LIMIT)
        )
    asked = {"lane": "lane", "now": (store.clock.now().timestamp() * 1e6).__trunc__(), "aside": 0}
    median = await timed(200, lambda: store._reader.run(lambda db: db.row("choose", asked)))
    await store.close()
    return median * 1e3


def synchronous(folder: Path) -> int:
    """What SQLite says of `synchronous` on a connection of the store's kind (2 is FULL)."""
    connection = connect(folder / "other.db", statements("sqlite")).connection
    return int(connection.pragma("synchronous"))


def main() -> None:
    """Print every figure."""
    print(f"SQLite {apsw.sqlite_lib_version()}, {ITEMS:,} items, {AT_ONCE} at once, medians of {RUNS}")
    with tempfile.TemporaryDirectory(dir=".") as name:
        print("synchronous:", synchronous(Path(name)), "(2 is FULL)")
    for result_bytes in (0, 1500):
        rates, costs = [], []
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory(dir=".") as name:
                rate, cost = asyncio.run(throughput(Path(name), result_bytes))
            rates.append(rate)
            costs.append(cost)
        print(
            f"results of {result_bytes:>4} bytes: {statistics.median(rates):>8,.0f} items/s "
            f"({min(rates):,.0f} … {max(rates):,.0f}), {statistics.median(costs):.0f} µs of CPU an item "
            f"({min(costs):.0f} … {max(costs):.0f})"
        )
    for items in (1000, MILLION):
        with tempfile.TemporaryDirectory(dir=".") as name:
            took = asyncio.run(stops(Path(name), items))
        print(f"{items:>9,} waiting: " + ", ".join(f"{what} {ms:.2f} ms" for what, ms in took.items()))
    with tempfile.TemporaryDirectory(dir=".") as name:
        print(f"choosing among 10,000 open batches: {asyncio.run(choosing(Path(name))):.2f} ms")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
