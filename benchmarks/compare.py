"""Compare versions of Covey in one run, in turn: the engine on both databases, the API, a 20 MiB list, the first word.

    python -m benchmarks compare ROUNDS FOLDER …

Each FOLDER is a checkout with a `.venv` of its own, as `make setup` leaves it; the first is what the others are
compared with. Every round measures each of them once, in the opposite order of the round before. What is measured is
each version's own code, its own benchmarks' parts too; only this file is the same for all.
"""

import asyncio
import contextlib
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Figures = dict[str, float]

SETTINGS = (
    '[calls]\ndefault_trunk = "simulated"\n[trunks.simulated]\nkind = "simulated"\nspeed = 1.0\n'
    "channels = 2\ncalls_per_second = 1\n"
)
BATCHES = 60
ROWS = 200
LOOKS = 500
CALLS = 80


async def api(folder: Path) -> Figures:
    """Medians over HTTP, of one request at a time: starts, looks, cancels of batches with nothing active; a large
    list."""
    from benchmarks.engine import timed
    from benchmarks.serving import AGENT, served, write_csv
    from benchmarks.upload import big_list
    from covey.client import StartOptions

    async with served(folder, SETTINGS) as server, server.client() as covey:
        agent = await covey.agents.create(AGENT)

        async def start(name: str, area: int, first: int, count: int) -> str:
            numbers = [f"+1{area}{2_000_000 + first + n}" for n in range(count)]
            file = write_csv(folder / name, numbers)
            return (await covey.batches.start(file, agent.id, StartOptions())).batch_id

        await start("first.csv", 202, 0, 500)  # takes the trunk, so that nothing of the others becomes active
        ids: list[str] = []

        async def start_one() -> None:
            ids.append(await start(f"{len(ids)}.csv", 203, len(ids) * 1000, ROWS))

        starts = await timed(BATCHES, start_one)
        looks = await timed(LOOKS, lambda: covey.batches.get(ids[-1]))
        left = iter(ids)
        cancels = await timed(BATCHES, lambda: covey.batches.cancel(next(left)))
        big = folder / "big.csv"
        big_list(big)
        large = await timed(1, lambda: covey.batches.start(big, agent.id, StartOptions()))
    return {
        f"API: start of {ROWS} rows, ms": starts * 1e3,
        "API: status, ms": looks * 1e3,
        "API: cancel, nothing active, ms": cancels * 1e3,
        "API: start of 20 MiB, s": large,
    }


async def engine(folder: Path) -> Figures:
    """The engine on SQLite: items a second, CPU an item, a stop and a look with 1,000 items waiting."""
    from benchmarks import engine

    figures: Figures = {}
    for size in (0, 1500):
        (into := folder / f"results of {size}").mkdir()
        rate, cpu = await engine.throughput(into, size)
        figures |= {f"SQLite, {size} bytes: items/s": rate, f"SQLite, {size} bytes: µs of CPU": cpu}
    (into := folder / "stops").mkdir()
    return figures | {f"SQLite: {what}, ms": took for what, took in (await engine.stops(into, 1000)).items()}


def postgres(folder: Path) -> Figures:
    """The engine on PostgreSQL, by two processes."""
    from benchmarks import postgres

    postgres.RUNS, postgres.PROCESSES = 1, (2,)  # type: ignore[assignment]
    said = _said(postgres.main)
    found = re.search(r"2 processes: ([\d,]+) items/s", said)
    assert found is not None, said
    return {"PostgreSQL, 2 processes: items/s": float(found[1].replace(",", ""))}


def first_word(folder: Path) -> Figures:
    """From the answer to the first sound, at phones over real SIP."""
    from benchmarks import calls

    said = _said(lambda: asyncio.run(calls.run(folder, CALLS)))
    found = re.search(r"median (\d+) ms, 99th percentile (\d+) ms", said)
    assert found is not None, said
    return {"first word, ms": float(found[1]), "first word, 99th percentile, ms": float(found[2])}


def _said(action: Callable[[], object]) -> str:
    """What an action prints."""
    into = io.StringIO()
    sys.argv = sys.argv[:1]
    with contextlib.redirect_stdout(into), contextlib.suppress(SystemExit):
        action()
    return into.getvalue()


PARTS: dict[str, Callable[[Path], Any]] = {
    "api": lambda folder: asyncio.run(api(folder)),
    "engine": lambda folder: asyncio.run(engine(folder)),
    "postgres": postgres,
    "word": first_word,
}


def measured() -> Figures:
    """All figures of the version in the current folder."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as name:
        for part, measure in PARTS.items():
            (folder := Path(name) / part).mkdir()
            figures |= measure(folder)
    return figures


def of_checkout(folder: str) -> Figures:
    """All figures of a checkout, measured by its own interpreter."""
    done = subprocess.run(
        [f"{folder}/.venv/bin/python", "-P", __file__],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": folder},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def main() -> None:
    """Print each figure of each checkout: median, spread, and the ratio to the first's."""
    rounds, *named = sys.argv[1:]
    folders = [str(Path(folder).resolve()) for folder in named]
    found: dict[str, dict[str, list[float]]] = {}
    for number in range(int(rounds)):
        for folder in folders[:: -1 if number % 2 else 1]:
            for what, figure in of_checkout(folder).items():
                found.setdefault(what, {}).setdefault(folder, []).append(figure)
            print(f"round {number + 1} of {rounds}: {Path(folder).name} measured", file=sys.stderr)
    for what, by in found.items():
        print(what)
        first = statistics.median(by[folders[0]])
        for folder in folders:
            middle, least, most = statistics.median(by[folder]), min(by[folder]), max(by[folder])
            print(f"  {Path(folder).name:20} {middle:10,.2f} ({least:,.2f} … {most:,.2f}), {middle / first:.3f}")


if __name__ == "__main__":
    print(json.dumps(measured()))
