"""Trunk down: what a batch does when everybody answers 404, 403, 503 or 603, and when one number alone always does.

python -m benchmarks trunk_down
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.serving import SHORT_AGENT, Phones, demo_numbers, demo_settings, served, write_csv
from covey.calls.trunks.demo.behaviours import behaviour_of
from covey.client import StartOptions

ROWS = 1000
MOST = 30
PATIENCE_SECONDS = 90.0


async def everybody(folder: Path, code: int) -> bool:
    """All phones answer `code`: how many numbers were rung until the batch paused itself, and what it says."""
    phones = Phones.start(folder, "--answer-all", str(code))
    try:
        async with served(folder, demo_settings(phones)) as server, server.client() as covey:
            agent = await covey.agents.create(SHORT_AGENT)
            people = write_csv(folder / "people.csv", demo_numbers(ROWS))
            began = time.monotonic()
            batch = (await covey.batches.start(people, agent.id, StartOptions())).batch_id
            while not (status := await covey.batches.get(batch)).paused:
                if time.monotonic() - began > PATIENCE_SECONDS:
                    break
                await asyncio.sleep(0.1)
            seconds = time.monotonic() - began
    finally:
        phones.stop()
    rung = {event["number"] for event in phones.events() if event.get("invite_at")}
    why = status.holding.message if status.holding else "nothing"
    progress = status.progress
    paused = "paused" if status.paused else "NOT paused"
    print(
        f"{code} to everybody: {paused} after {len(rung)} numbers and {seconds:.0f} s, {progress.waiting} still wait, "
        f"{progress.failed} failed; it says: {why}"
    )
    return status.paused and len(rung) <= MOST and bool(status.holding)


async def one_number(folder: Path) -> bool:
    """One number in 200 always answers 503."""
    numbers = demo_numbers(200, [*range(65), *range(80, 95)])
    phones = Phones.start(folder, "--broken", numbers[100])
    try:
        async with served(folder, demo_settings(phones)) as server, server.client() as covey:
            agent = await covey.agents.create(SHORT_AGENT)
            people = write_csv(folder / "people.csv", numbers)
            batch = (await covey.batches.start(people, agent.id, StartOptions())).batch_id
            opened = 0
            while not (status := await covey.batches.get(batch)).is_complete:
                opened += bool(status.holding and status.holding.code == "trunk_down")
                await asyncio.sleep(0.1)
            lines = b"".join([piece async for piece in covey.batches.export(batch, "jsonl")]).splitlines()
    finally:
        phones.stop()
    calls: list[dict[str, Any]] = [json.loads(line) for line in lines]
    ends = {
        call["phone_number"]: call["result"]["outcome"] if "result" in call else call["errorCode"] for call in calls
    }
    broken = ends.pop(numbers[100])
    right = sum(1 for number, end in ends.items() if end == _expected(number))
    print(
        f"one number of 200 always 503: it ended {broken}; {right} of {len(ends)} others ended as documented; "
        f"looks at which the breaker was open: {opened}"
    )
    return broken == "provider_error" and right == len(ends) and opened == 0


def _expected(number: str) -> str:
    """How a call to this number ends when nothing is asked: who would answer hears the greeting and the goodbye."""
    behaviour = behaviour_of(number)
    assert behaviour is not None
    asked = {"declined", "no_response"}
    return "successful" if behaviour.end.value in asked else behaviour.end.value


async def run(folder: Path) -> bool:
    """All of it; whether it was right."""
    right = [await everybody(part(folder, str(code)), code) for code in (404, 403, 503, 603)]
    return all([*right, await one_number(part(folder, "one"))])


def part(folder: Path, name: str) -> Path:
    """A new folder in a folder."""
    made = folder / name
    made.mkdir()
    return made


def main() -> None:
    """Print what happened; exit 1 if it was wrong."""
    with tempfile.TemporaryDirectory() as name:
        right = asyncio.run(run(Path(name)))
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
