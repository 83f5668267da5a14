"""Worker processes on one PostgreSQL whose every start and end is written down: what `pg_cancels`, `pg_lane` and
`pg_fair` measure with. Run as `python -m benchmarks.pg_workers URL LANE ROOM LOG`, a process is one worker.

A line is in the kernel's hands before the start it tells of counts. Times are of the monotonic clock, which all
processes of a machine share.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg

from covey.domain.batch import NewBatch, Quota
from covey.domain.clock import SystemClock
from covey.domain.ids import new_id
from covey.engine.runner import Outcome, Run, Succeeded
from covey.engine.wakeups import Wakeups
from covey.engine.worker import Worker
from covey.metrics import Metrics
from covey.store.postgres.store import PostgresStore
from covey.store.store import Store

NO_LIMIT = Quota(unended_batches=1 << 30, waiting_items=1 << 40, allow_duplicate=True)
READY_SECONDS = 60.0

FILL = """
INSERT INTO items (batch, seq, input)
SELECT %(batch)s, seq, json_build_object('seconds', %(least)s + (%(most)s - %(least)s) * random())
FROM generate_series(0, %(items)s - 1) AS seq
"""


@dataclass(frozen=True, slots=True)
class Span:
    """One run, by its worker's log; `end` None: it had not ended when the log was read."""

    workspace: str
    batch: str
    seq: int
    attempt: int
    start: float
    end: float | None


class Logged:
    """A runner that takes as long as the item says."""

    kind = "logged"

    def __init__(self, log: Path) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def run(self, run: Run) -> Outcome:
        seconds = orjson.loads(run.input)["seconds"]
        if not await run.turn(time.monotonic):
            return run.unstarted()
        self._note("start", run, time.monotonic())
        await asyncio.sleep(seconds)
        self._note("end", run, time.monotonic())
        return Succeeded("done", {}, seconds)

    def load_config(self, config: bytes) -> Any:
        return orjson.loads(config)

    async def ping(self, lane: str) -> str | None:
        return None

    def _note(self, what: str, run: Run, at: float) -> None:
        line = orjson.dumps([what, run.workspace, run.batch, run.seq, run.attempt, at])
        os.write(self._log, line + b"\n")


async def work(url: str, lane: str, room: int, log: Path) -> None:
    """Be a worker until SIGTERM."""
    over, wakeups = asyncio.Event(), Wakeups()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    store = PostgresStore(url, heard=wakeups.heard)
    await store.open()
    worker = Worker(store, SystemClock(), wakeups, {lane: Logged(log)}, room, Metrics())
    await worker.enlist()
    worker.start()
    log.with_suffix(".ready").touch()
    await over.wait()
    await worker.drain(20, asyncio.Event())
    await worker.stop()
    await store.close()


@contextlib.contextmanager
def workers(url: str, count: int, lane: str, room: int, folder: Path) -> Iterator[None]:
    """So many worker processes at work; they drain on leaving. Their logs are in `folder`."""
    logs = [folder / f"worker{n}.jsonl" for n in range(count)]
    processes = [
        subprocess.Popen([sys.executable, "-m", "benchmarks.pg_workers", url, lane, str(room), str(log)])
        for log in logs
    ]
    try:
        end = time.monotonic() + READY_SECONDS
        while not all(log.with_suffix(".ready").exists() for log in logs):
            if time.monotonic() > end or any(process.poll() is not None for process in processes):
                raise RuntimeError("the workers did not start")
            time.sleep(0.02)
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


def spans(folder: Path) -> list[Span]:
    """All runs of all workers, in order of their starts. Raises if an attempt started twice."""
    started: dict[tuple[str, int, int], tuple[str, float]] = {}
    ended: dict[tuple[str, int, int], float] = {}
    for log in sorted(folder.glob("worker*.jsonl")):
        for line in log.read_bytes().splitlines():
            what, workspace, batch, seq, attempt, at = orjson.loads(line)
            key = (batch, seq, attempt)
            if what == "end":
                ended[key] = at
            elif key in started:
                raise AssertionError(f"{key} started twice")
            else:
                started[key] = (workspace, at)
    found = [Span(workspace, *key, at, ended.get(key)) for key, (workspace, at) in started.items()]
    return sorted(found, key=lambda span: span.start)


async def fill(
    store: Store, url: str, items: int, seconds: tuple[float, float], *, lane: str = "lane", **facts: Any
) -> str:
    """A batch of `items` whose runs take as long as that, spread evenly; its id. The items are made inside PostgreSQL,
    as nothing is measured here. The draft is `bench`'s: with a server beside, that has to be a worker."""
    now = SystemClock().now()
    batch = new_id(now)
    new = {"workspace": "workspace", "kind": "logged", **facts}
    await store.draft(NewBatch(id=batch, lane=lane, config=b"{}", created_at=now, **new), "bench")
    least, most = seconds
    given = {"batch": bytes.fromhex(batch), "items": items, "least": least, "most": most}
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(FILL, given)
    await store.accept(batch, items, NO_LIMIT)
    return batch


async def analyzed(url: str) -> None:
    """What autovacuum would do a minute after such a fill."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("VACUUM ANALYZE")


def most_in_a_second(times: list[float]) -> int:
    """The most of these sorted moments in any second, wherever it begins."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def most_at_once(runs: list[Span]) -> int:
    """The most of these runs at one moment. One that ends as another starts makes room for it."""
    moves = [(run.start, 1) for run in runs] + [(run.end, -1) for run in runs if run.end is not None]
    now = most = 0
    for _, step in sorted(moves):
        now += step
        most = max(most, now)
    return most


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def verdict(fine: bool, text: str) -> bool:
    """Print a figure that has a bar; whether it keeps it."""
    print(f"  {'pass' if fine else 'FAIL'}  {text}", flush=True)
    return fine


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
