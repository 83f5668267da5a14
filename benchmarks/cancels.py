"""Orders: 100 cancels and 100 pauses at random moments of a batch of 2,000 calls with up to 40 active, over real SIP.

    python -m benchmarks cancels [ORDERS]

For each: how long the order took, beside a cancel of a batch with nothing active; whether the numbers add up at every
poll around it, and what was counted cancelled stays so; and by what the phones wrote down, whether anybody was rung
whom the answer counted as cancelled, and whether an INVITE came after the answer: none may, unless the order had waited
for 300 ms in vain.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.serving import SHORT_AGENT, Phones, demo_numbers, demo_settings, served, write_csv
from covey.client import CoveyClient, StartOptions
from covey.domain.run import START_LEASE_SECONDS
from covey.engine.withdrawals import WAIT_SECONDS

ORDERS = 100
"""So many of each kind."""

KINDS = ("cancel", "pause")
ROWS = 2_000
POLLS = 200
MOMENTS = (0.2, 5.0)
ENDINGS = [*range(65), *range(75, 100)]


@dataclass(slots=True)
class Seen:
    """What one order came to; `idle` is how long the cancel of a batch took that had nothing active."""

    kind: str
    batch: str
    seconds: float
    idle: float
    answered_at: float
    active: int
    cancelled: int
    polls: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def in_vain(self) -> bool:
        """Whether it was answered because it had waited long enough, as on a machine that is much too busy. What had
        not come back is among the active calls then, and may start while its start lease lasts."""
        return self.seconds >= WAIT_SECONDS


async def poll(covey: CoveyClient, batch: str, wrong: list[str], enough: asyncio.Event) -> int:
    """Look again and again until told; how often. What is not as it should be goes into `wrong`."""
    polls = cancelled = 0
    while not enough.is_set() or polls < POLLS:
        progress = (await covey.batches.get(batch)).progress
        polls += 1
        parts = (progress.waiting, progress.active, progress.completed, progress.failed, progress.cancelled)
        if sum(parts) != progress.total:
            wrong.append(f"{parts} do not add up to {progress.total}")
        if progress.cancelled < cancelled:
            wrong.append(f"{cancelled} were cancelled, {progress.cancelled} are")
        cancelled = progress.cancelled
        if enough.is_set():
            await asyncio.sleep(0.001)
    return polls


async def timed_idle(covey: CoveyClient, agent: str, few: Path) -> float:
    """How long the cancel of a batch takes that has not begun."""
    later = datetime.now(UTC) + timedelta(hours=1)
    waiting = await covey.batches.start(few, agent, StartOptions(allow_duplicate=True, scheduled_at=later))
    began = time.monotonic()
    await covey.batches.cancel(waiting.batch_id)
    return time.monotonic() - began


async def one(covey: CoveyClient, kind: str, agent: str, lists: tuple[Path, Path], chance: random.Random) -> Seen:
    """Start a batch, cancel or pause it at a random moment, look all the time."""
    people, few = lists
    started = await covey.batches.start(people, agent, StartOptions(allow_duplicate=True))
    await asyncio.sleep(chance.uniform(*MOMENTS))
    wrong: list[str] = []
    enough = asyncio.Event()
    polling = asyncio.create_task(poll(covey, started.batch_id, wrong, enough))
    await asyncio.sleep(0.3)
    idle = await timed_idle(covey, agent, few)
    began = time.monotonic()
    if kind == "cancel":
        answer = (await covey.batches.cancel(started.batch_id)).details
        counts = answer.active_calls, answer.cancelled_calls
    else:
        progress = (await covey.batches.pause(started.batch_id)).progress
        counts = progress.active, progress.cancelled
    seconds = time.monotonic() - began
    seen = Seen(kind, started.batch_id, seconds, idle, time.time(), *counts)
    await asyncio.sleep(0.7)
    enough.set()
    seen.polls, seen.wrong = await polling, wrong
    if kind == "pause":
        await covey.batches.cancel(started.batch_id)
    return seen


async def cancelled_items(covey: CoveyClient, batch: str) -> set[str]:
    """The calls that are cancelled, once none is active any more."""
    while (await covey.batches.get(batch)).progress.active:
        await asyncio.sleep(0.2)
    return {call.job_id.removeprefix("call_") async for call in covey.batches.calls(batch, "cancelled")}


def judge(seen: Seen, cancelled: set[str], invites: list[dict[str, Any]]) -> list[str]:
    """What was wrong with one order, by the phones' account."""
    wrong = list(seen.wrong)
    rung = {event["item"] for event in invites}
    if rung & cancelled:
        wrong.append(f"{len(rung & cancelled)} cancelled calls were rung")
    if len(cancelled) < seen.cancelled:
        wrong.append(f"the answer counted {seen.cancelled} cancelled, {len(cancelled)} are")
    late = [event["invite_at"] - seen.answered_at for event in invites if event["invite_at"] > seen.answered_at]
    if late and (not seen.in_vain or max(late) > START_LEASE_SECONDS):
        wrong.append(f"{len(late)} INVITEs after the answer to a {seen.kind}, the last {max(late) * 1e3:.0f} ms")
    if len(late) > seen.active:
        wrong.append(f"{len(late)} INVITEs after an answer that named {seen.active} active calls")
    return wrong


async def run(folder: Path, orders: int) -> bool:
    """So many orders of each kind; whether nothing was wrong."""
    phones, chance = Phones.start(folder), random.Random(7)
    kinds = [*KINDS] * orders
    chance.shuffle(kinds)
    all_seen: list[Seen] = []
    try:
        async with served(folder, demo_settings(phones, pace=20.0)) as server, server.client() as covey:
            agent = (await covey.agents.create(SHORT_AGENT)).id
            numbers = demo_numbers(ROWS, ENDINGS)
            lists = write_csv(folder / "people.csv", numbers), write_csv(folder / "few.csv", numbers[:10])
            for n, kind in enumerate(kinds):
                all_seen.append(await one(covey, kind, agent, lists, chance))
                if sys.stderr.isatty():
                    sys.stderr.write(f"\r{n + 1} of {len(kinds)} orders ")
            cancelled = {seen.batch: await cancelled_items(covey, seen.batch) for seen in all_seen}
    finally:
        phones.stop()
    return report(all_seen, cancelled, phones)


def report(all_seen: list[Seen], cancelled: dict[str, set[str]], phones: Phones) -> bool:
    """Print the figures; whether nothing was wrong."""
    invites: dict[str, list[dict[str, Any]]] = {}
    for event in phones.events():
        if event["event"] == "invite":
            invites.setdefault(f"batch_{event['batch']}", []).append(event)
    wrong = [text for seen in all_seen for text in judge(seen, cancelled[seen.batch], invites.get(seen.batch, []))]
    for kind in KINDS:
        figures(kind, [seen for seen in all_seen if seen.kind == kind], invites)
    print(f"a cancel of a batch with nothing active: {milliseconds([seen.idle for seen in all_seen])}")
    print(f"polls around each order: {min(seen.polls for seen in all_seen)} or more; wrong: {len(wrong)}")
    for text in wrong[:20]:
        print("  " + text)
    return not wrong


def figures(kind: str, all_seen: Sequence[Seen], invites: dict[str, list[dict[str, Any]]]) -> None:
    """Print the figures of one kind of order."""
    active = sorted(seen.active for seen in all_seen)
    middle = active[len(active) // 2]
    print(f"{len(all_seen)} {kind}s of {ROWS:,} calls, {active[0]} to {active[-1]} active (median {middle})")
    print(f"answered in {milliseconds([seen.seconds for seen in all_seen])}")
    after = [
        (event["invite_at"] - seen.answered_at) * 1e3
        for seen in all_seen
        for event in invites.get(seen.batch, [])
        if event["invite_at"] > seen.answered_at
    ]
    in_vain = sum(seen.in_vain for seen in all_seen)
    print(
        f"INVITEs after the answer: {len(after)}, the latest {max(after, default=0):.0f} ms; waited in vain: {in_vain}"
    )


def milliseconds(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and worst."""
    took = sorted(one * 1e3 for one in seconds)
    near_worst = took[int(len(took) * 0.99)] if len(took) > 1 else took[0]
    return (
        f"{statistics.median(took):.1f} ms (median), {near_worst:.1f} ms (99th percentile), {took[-1]:.1f} ms (worst)"
    )


def main() -> None:
    """Print the figures; exit 1 if anything was wrong."""
    orders = int(sys.argv[1]) if len(sys.argv) > 1 else ORDERS
    with tempfile.TemporaryDirectory() as name:
        right = asyncio.run(run(Path(name), orders))
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
