"""Cancels: 100 cancels at random moments of a batch of 10,000 calls with up to 40 active, over real SIP.

    python -m benchmarks cancels

For each: how long the DELETE took; whether the numbers add up at every poll around it; and by what the phones wrote
down, whether anybody whom the answer counted as cancelled was rung, and how late the last INVITE came.
"""

import asyncio
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving import SHORT_AGENT, Phones, demo_numbers, demo_settings, served, write_csv
from covey.client import CoveyClient, StartOptions

CANCELS = 100
ROWS = 10_000
POLLS = 200
MOMENTS = (0.2, 5.0)
ENDINGS = [*range(65), *range(75, 100)]


@dataclass(slots=True)
class Seen:
    """What one cancel came to."""

    batch: str
    seconds: float
    answered_at: float
    active: int
    cancelled: int
    polls: int = 0
    wrong: list[str] = field(default_factory=list)


async def poll(covey: CoveyClient, batch: str, seen: list[str], enough: asyncio.Event) -> int:
    """Look again and again until told; how often. What does not add up goes into `seen`."""
    polls = 0
    while not enough.is_set() or polls < POLLS:
        progress = (await covey.batches.get(batch)).progress
        polls += 1
        parts = (progress.waiting, progress.active, progress.completed, progress.failed, progress.cancelled)
        if sum(parts) != progress.total:
            seen.append(f"{parts} do not add up to {progress.total}")
        if enough.is_set():
            await asyncio.sleep(0.001)
    return polls


async def one(covey: CoveyClient, agent: str, people: Path, chance: random.Random) -> Seen:
    """Start a batch, cancel it at a random moment, look all the time."""
    started = await covey.batches.start(people, agent, StartOptions(allow_duplicate=True))
    await asyncio.sleep(chance.uniform(*MOMENTS))
    wrong: list[str] = []
    enough = asyncio.Event()
    polling = asyncio.create_task(poll(covey, started.batch_id, wrong, enough))
    await asyncio.sleep(0.3)
    began = time.monotonic()
    answer = await covey.batches.cancel(started.batch_id)
    seconds = time.monotonic() - began
    seen = Seen(started.batch_id, seconds, time.time(), answer.details.active_calls, answer.details.cancelled_calls)
    await asyncio.sleep(0.7)
    enough.set()
    seen.polls, seen.wrong = await polling, wrong
    return seen


async def cancelled_items(covey: CoveyClient, batch: str) -> set[str]:
    """The calls that are cancelled, once none is active any more."""
    while (await covey.batches.get(batch)).progress.active:
        await asyncio.sleep(0.2)
    return {call.job_id.removeprefix("call_") async for call in covey.batches.calls(batch, "cancelled")}


def judge(seen: Seen, cancelled: set[str], invites: list[dict[str, Any]]) -> list[str]:
    """What was wrong with one cancel, by the phones' account."""
    wrong = list(seen.wrong)
    rung = {event["item"] for event in invites}
    if rung & cancelled:
        wrong.append(f"{len(rung & cancelled)} cancelled calls were rung")
    if len(cancelled) < seen.cancelled:
        wrong.append(f"the answer counted {seen.cancelled} cancelled, {len(cancelled)} are")
    late = [event for event in invites if event["invite_at"] > seen.answered_at]
    if len({event["item"] for event in late}) > seen.active:
        wrong.append(f"{len(late)} INVITEs after an answer that named {seen.active} active calls")
    if any(event["invite_at"] > seen.answered_at + 0.5 for event in late):
        wrong.append("an INVITE came more than 500 ms after the answer")
    return wrong


async def run(folder: Path, cancels: int) -> bool:
    """All cancels; whether nothing was wrong."""
    phones, chance = Phones.start(folder), random.Random(7)
    all_seen: list[Seen] = []
    try:
        async with served(folder, demo_settings(phones, pace=20.0)) as server, server.client() as covey:
            agent = await covey.agents.create(SHORT_AGENT)
            people = write_csv(folder / "people.csv", demo_numbers(ROWS, ENDINGS))
            for n in range(cancels):
                all_seen.append(await one(covey, agent.id, people, chance))
                if sys.stderr.isatty():
                    sys.stderr.write(f"\r{n + 1} of {cancels} cancels ")
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
    took = sorted(seen.seconds * 1e3 for seen in all_seen)
    after = [
        (event["invite_at"] - seen.answered_at) * 1e3
        for seen in all_seen
        for event in invites.get(seen.batch, [])
        if event["invite_at"] > seen.answered_at
    ]
    active = sorted(seen.active for seen in all_seen)
    middle = len(took) // 2
    print(f"{len(took)} cancels of {ROWS:,} calls, {active[0]} to {active[-1]} active (median {active[middle]})")
    print(
        f"DELETE answered in {took[middle]:.1f} ms (median), {took[int(len(took) * 0.99)]:.1f} ms (99th percentile), "
        f"{took[-1]:.1f} ms (worst)"
    )
    print(f"INVITEs after the answer: {len(after)}, the latest {max(after, default=0):.0f} ms after it")
    print(f"polls around each cancel: {min(seen.polls for seen in all_seen)} or more; wrong: {len(wrong)}")
    for text in wrong[:20]:
        print("  " + text)
    return not wrong


def main() -> None:
    """Print the figures; exit 1 if anything was wrong."""
    with tempfile.TemporaryDirectory() as name:
        right = asyncio.run(run(Path(name), CANCELS))
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
