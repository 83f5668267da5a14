"""Checks: sixteen lists of 20 MB at once, 40 small ones, 20 MB of line ends, and clients that go away.

    python -m benchmarks checks [--lists 16] [--form rows|numbers]

Nothing is started: the lists are validated. Memory is that of the server's whole process tree, shared pages divided
among those that share them (PSS), sampled ten times a second. `rows` are lists of three columns, `numbers` of nothing
but numbers, 1.6 million of them.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from benchmarks.serving import AGENT, ServerProcess, children, served, write_csv
from benchmarks.upload import BYTES, SETTINGS, big_list, memory
from covey.client import CoveyClient, StartOptions
from covey.client.errors import ApiError

CHECK = "covey.calls.intake.checker"
SAME = StartOptions(allow_duplicate=True)
SMALL = 40
GONE_AFTER_SECONDS = 3.0


@dataclass(slots=True)
class Seen:
    """What was seen of the server while it worked: megabytes, and processes that check lists."""

    megabytes: list[float] = field(default_factory=list)
    processes: list[int] = field(default_factory=list)

    async def watch(self, server: ServerProcess) -> None:
        """Look until cancelled."""
        while True:
            self.megabytes.append(await asyncio.to_thread(memory, server.pid))
            self.processes.append(len(await asyncio.to_thread(children, server.pid, CHECK)))
            await asyncio.sleep(0.1)

    def __str__(self) -> str:
        peak, before = max(self.megabytes), self.megabytes[0]
        return f"at most {max(self.processes)} processes, peak {peak:.0f} MB in all ({before:.0f} MB before)"


def numbers_alone(path: Path) -> int:
    """A list of nothing but numbers, as large as a list may be; how many."""
    count = (BYTES - 13) // 13
    with path.open("w") as file:
        file.write("phone_number\n")
        for n in range(count):
            file.write(f"+1{202 + n // 8_000_000}{2_000_000 + n % 8_000_000}\n")
    return count


async def answered(covey: CoveyClient, list_: Path, agent: str) -> tuple[str, float]:
    """What a validation was answered, and after how many seconds."""
    began = time.perf_counter()
    try:
        report = await covey.batches.validate(list_, agent, SAME)
        said = "fine" if report["ok"] else "refused"
    except ApiError as error:
        said = f"{error.status} {error.code}"
    return said, time.perf_counter() - began


async def at_once(server: ServerProcess, covey: CoveyClient, list_: Path, agent: str, count: int) -> None:
    """Send a list several times at once and print the answers, the processes and their memory."""
    seen = Seen()
    watching = asyncio.create_task(seen.watch(server))
    answers = await asyncio.gather(*(answered(covey, list_, agent) for _ in range(count)))
    watching.cancel()
    came = ", ".join(f"{many} times {what}" for what, many in Counter(what for what, _ in answers).items())
    seconds = sorted(took for _, took in answers)
    size = list_.stat().st_size / 2**20
    print(f"{count} lists of {size:.1f} MiB at once: {came}; {seen}")
    print(f"  first answer after {seconds[0]:.1f} s, last after {seconds[-1]:.1f} s")


async def gone(server: ServerProcess, covey: CoveyClient, list_: Path, agent: str, count: int) -> None:
    """Send a list several times, disconnect during the checks, and print when their processes have ended."""
    url, headers = f"{server.url}/v1/api/batch-calls/validate", covey.profile
    named = {"x-api-key": headers.api_key or "", "x-workspace-id": headers.workspace or ""}

    async def leave(http: httpx2.AsyncClient) -> None:
        with list_.open("rb") as file:
            await http.post(url, headers=named, data={"agentId": agent}, files={"file": ("list.csv", file)})

    async with httpx2.AsyncClient(timeout=None) as http:
        tasks = [asyncio.create_task(leave(http)) for _ in range(count)]
        while not children(server.pid, CHECK):
            await asyncio.sleep(0.02)
        await asyncio.sleep(GONE_AFTER_SECONDS)
        left = len(children(server.pid, CHECK))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    began = time.perf_counter()
    while children(server.pid, CHECK):
        await asyncio.sleep(0.02)
    print(f"{count} clients went away, {left} processes at work: all ended {time.perf_counter() - began:.2f} s later")


async def run(folder: Path, lists: int, form: str) -> None:
    """Print the figures."""
    large, small, ends = folder / "large.csv", folder / "small.csv", folder / "ends.csv"
    rows = big_list(large) if form == "rows" else numbers_alone(large)
    write_csv(small, [f"+1202{2_000_000 + n}" for n in range(2000)])
    ends.write_bytes(b"\n" * 20_000_000)
    async with served(folder, SETTINGS) as server, server.client() as covey:
        agent = (await covey.agents.create({**AGENT, "greeting": "Hello."})).id
        print(f"a list has {rows:,} rows")
        await at_once(server, covey, large, agent, lists)
        async with CoveyClient(covey.profile, attempts=1) as hasty:
            await at_once(server, hasty, small, agent, SMALL)
        await at_once(server, covey, ends, agent, 1)
        await gone(server, covey, large, agent, lists)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lists", type=int, default=16)
    parser.add_argument("--form", choices=("rows", "numbers"), default="rows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name:
        asyncio.run(run(Path(name).absolute(), options.lists, options.form))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
