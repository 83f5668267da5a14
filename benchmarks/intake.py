"""How long the largest list takes: 20 MiB of CSV, about 450,000 rows, checked and read back.

    python benchmarks/intake.py [--form plus|national|bad] [--rows N] [--zones] [--repeat 5]

Prints seconds, rows a second and the peak memory of the process tree (proportional set size, as /proc has it).
"""

import argparse
import asyncio
import contextlib
import csv
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

from covey.calls.intake import IntakeOptions, NumberRule, OnInvalid, check

LARGEST = 20 * 1024 * 1024
COLUMNS = ("phone_number", "first_name", "last_name", "appointment_day")
NAMES = ("Ada", "Grace", "Zoë", "Mary", "Søren", "Katherine")
AREAS = ("202", "212", "312", "415", "416", "604", "305", "702", "808", "907")


def write(path: Path, form: str, rows: int) -> int:
    """Writes a list of at most 20 MiB; returns its rows."""
    chance = random.Random(7)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in range(rows):
            writer.writerow((number(form, chance), chance.choice(NAMES), f"Example-{row:06}", "Monday 7 March"))
            if not row % 1000 and file.tell() > LARGEST - 80_000:
                return row + 1
    return rows


def number(form: str, chance: random.Random) -> str:
    """A number as a list may have it."""
    local = f"{chance.randrange(200, 1000)}{chance.randrange(10_000):04}"
    if form == "national":
        return f"({chance.choice(AREAS)}) {local[:3]}-{local[3:]}"
    return f"{chance.choice(AREAS)}{local}" if form == "bad" else f"+1{chance.choice(AREAS)}{local}"


def tree_memory(pid: int) -> int:
    """Bytes of a process and its children; what they share counts once."""
    total = 0
    with contextlib.suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total = 1024 * int(rollup.split("Pss:")[1].split()[0])
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += tree_memory(int(child))
    return total


async def watch(peak: list[int]) -> None:
    """Keeps the highest memory seen."""
    while True:
        peak[0] = max(peak[0], tree_memory(os.getpid()))
        await asyncio.sleep(0.05)


async def once(path: Path, options: IntakeOptions) -> tuple[float, float, int, int]:
    """Seconds of the check, seconds of reading back, items, peak bytes."""
    peak = [0]
    watcher = asyncio.create_task(watch(peak))
    begun = time.perf_counter()
    async with await check(path, options, path.parent) as checked:
        seconds = time.perf_counter() - begun
        begun = time.perf_counter()
        items = sum([len(piece) async for piece in checked.pieces()])
        back = time.perf_counter() - begun
        assert items == checked.total
        print(f"  {checked.total:,} items, {checked.report.by_code}, {checked.duplicates:,} duplicates")
    watcher.cancel()
    return seconds, back, items, peak[0]


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--form", choices=("plus", "national", "bad"), default="plus")
    parser.add_argument("--rows", type=int, default=450_000)
    parser.add_argument("--zones", action="store_true")
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    options = IntakeOptions(
        rule=NumberRule.simulated,
        region="US" if given.form == "national" else None,
        country="US",
        zones=given.zones,
        on_invalid=OnInvalid.skip,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.csv"
        rows = write(path, given.form, given.rows)
        print(f"{rows:,} rows, {path.stat().st_size / 1e6:.1f} MB, numbers: {given.form}, zones: {given.zones}")
        runs = [asyncio.run(once(path, options)) for _ in range(given.repeat)]
    checks = [run[0] for run in runs]
    back = statistics.median(run[1] for run in runs)
    print(
        f"check: median {statistics.median(checks):.2f} s ({min(checks):.2f} to {max(checks):.2f}), "
        f"{rows / statistics.median(checks):,.0f} rows/s; reading back {back:.2f} s; "
        f"peak memory {max(run[3] for run in runs) / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    main()
