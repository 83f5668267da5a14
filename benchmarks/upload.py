"""Upload: a 20 MB list is checked and accepted while calls go on, others look at their batches and cancel them.

    python -m benchmarks upload

Calls on the simulated trunk. Memory is the sum over the server's whole process tree of what each process holds, shared
pages divided among those that share them (PSS), sampled ten times a second.
"""

import asyncio
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.serving import AGENT, ServerProcess, served, write_csv
from covey.client import CoveyClient, StartOptions

BYTES = 20 * 1024 * 1024 - 2000
SETTINGS = (
    '[calls]\ndefault_trunk = "simulated"\n[trunks.simulated]\nkind = "simulated"\nspeed = 4.0\n'
    "channels = 40\ncalls_per_second = 10\n"
)


def big_list(path: Path) -> int:
    """A list as large as a list may be; how many rows."""
    rows = size = 0
    with path.open("w") as file:
        size += file.write("phone_number,first_name,city\n")
        while size < BYTES:
            number = f"+1{202 + rows // 8_000_000}{2_000_000 + rows % 8_000_000}"
            size += file.write(f"{number},Person{rows % 10_000:05d},Springfield X{rows % 10_000}\n")
            rows += 1
    return rows


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += tree(int(child))
    return found


def memory(pid: int) -> float:
    """Megabytes that a process tree holds."""
    total = 0
    for one in tree(pid):
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        total += int(found[1]) if found else 0
    return total / 1024


async def sample_memory(server: ServerProcess, peaks: list[float], done: asyncio.Event) -> None:
    """Sample until told."""
    while not done.is_set():
        peaks.append(await asyncio.to_thread(memory, server.pid))
        await asyncio.sleep(0.1)


async def look(covey: CoveyClient, batch: str, taken: list[float], done: asyncio.Event) -> None:
    """Ask for a status, again and again."""
    while not done.is_set():
        began = time.perf_counter()
        await covey.batches.get(batch)
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(0.02)


async def cancel_some(covey: CoveyClient, batches: list[str], taken: list[float], done: asyncio.Event) -> None:
    """Cancel one small batch after another."""
    for batch in batches:
        if done.is_set():
            return
        began = time.perf_counter()
        await covey.batches.cancel(batch)
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(0.1)


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def finish_lag(server: ServerProcess) -> list[tuple[float, float]]:
    """The server's own histogram of the time from a run's end to its commit: (upper bound, how many below)."""
    import httpx2

    async with httpx2.AsyncClient() as http:
        text = (await http.get(f"{server.url}/metrics")).text
    found = re.findall(r'covey_finish_lag_seconds_bucket\{le="([^"]+)"\} (\S+)', text)
    return [(float(bound), float(below)) for bound, below in found]


def bound_of(before: list[tuple[float, float]], after: list[tuple[float, float]], share: float) -> tuple[float, int]:
    """The bucket's bound that this share of what came between two looks lies below, and how many that were."""
    grown = [(bound, n - m) for (bound, n), (_, m) in zip(after, before, strict=True)]
    total = grown[-1][1]
    return next(bound for bound, n in grown if n >= share * total), int(total)


async def run(folder: Path) -> None:
    """Upload, look, cancel; print the figures."""
    rows = big_list(folder / "big.csv")
    size = (folder / "big.csv").stat().st_size
    async with served(folder, SETTINGS) as server, server.client() as covey:
        agent = await covey.agents.create(AGENT)
        small = write_csv(folder / "small.csv", [f"+1202{2_000_000 + n}" for n in range(2000)])
        same = StartOptions(allow_duplicate=True)
        running = (await covey.batches.start(small, agent.id, same)).batch_id
        others = [(await covey.batches.start(small, agent.id, same)).batch_id for _ in range(60)]
        await asyncio.sleep(5)
        before = await finish_lag(server)
        looks: list[float] = []
        cancels: list[float] = []
        peaks: list[float] = []
        done = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sample_memory(server, peaks, done))
            tasks.create_task(look(covey, running, looks, done))
            tasks.create_task(cancel_some(covey, others, cancels, done))
            began = time.monotonic()
            started = await covey.batches.start(folder / "big.csv", agent.id, same)
            seconds = time.monotonic() - began
            done.set()
        bound, finishes = bound_of(before, await finish_lag(server), 0.99)
        total = (await covey.batches.get(started.batch_id)).progress.total
    print(f"{size / 2**20:.1f} MiB, {rows:,} rows, {total:,} accepted in {seconds:.1f} s")
    print(f"peak memory of the process tree: {max(peaks):.0f} MB (idle before: {peaks[0]:.0f} MB)")
    for what, taken in (("status", looks), ("cancel", cancels)):
        print(
            f"{what}: {len(taken)}, median {statistics.median(taken) * 1e3:.1f} ms, "
            f"99th percentile {percentile(taken, 0.99) * 1e3:.1f} ms"
        )
    print(f"finish: {finishes}, 99 of 100 on disk within {bound * 1e3:.0f} ms of the call's end")


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        asyncio.run(run(Path(name).absolute()))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
