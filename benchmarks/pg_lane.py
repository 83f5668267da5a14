"""PostgreSQL: 8 worker processes hammer a lane of 100 slots and 50 starts a second.

    python -m benchmarks pg_lane [SECONDS]

Runs take 0.2 to 4.4 s, so that now the slots and now the pace hold the lane back. By the start logs: never 101 at
once, never more than 50 starts in any second wherever it begins.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.pg_workers import fill, most_at_once, most_in_a_second, spans, verdict, workers
from benchmarks.postgres import durable_server
from covey.domain.lane import Lane
from covey.store.postgres.store import PostgresStore

SECONDS = 60
WORKERS = 8
SLOTS = 100
PACE = 50
TAKES = (0.2, 4.4)


async def run(url: str, folder: Path, seconds: float) -> bool:
    """Hammer; whether the limits held."""
    store = PostgresStore(url)
    await store.open()
    await store.put_lane(Lane("lane", SLOTS, PACE))
    items = int(seconds * PACE * 2)
    batches = [await fill(store, url, items // 4, TAKES, workspace=f"w{n % 2}") for n in range(4)]
    with workers(url, WORKERS, "lane", SLOTS, folder):
        await asyncio.sleep(seconds)
    wrong = [await store.recount(batch) for batch in batches]
    await store.close()
    runs = spans(folder)
    times = [span.start for span in runs]
    lasted = times[-1] - times[0]
    at_once, in_a_second = most_at_once(runs), most_in_a_second(times)
    print(f"{len(runs):,} starts in {lasted:.1f} s: {len(runs) / lasted:.1f} a second, by {WORKERS} workers")
    fine = verdict(at_once <= SLOTS, f"most at once: {at_once} of {SLOTS}")
    fine &= verdict(in_a_second <= PACE, f"most starts in any second: {in_a_second} of {PACE}")
    return verdict(not any(wrong), "recount right") and fine


def main() -> None:
    """Print the figures; exit 1 if a limit did not hold."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with durable_server() as server, tempfile.TemporaryDirectory() as folder:
        fine = asyncio.run(run(server.create_database("lane"), Path(folder), seconds))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
