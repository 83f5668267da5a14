"""A thousand histories of the real engine on simulated machines, each from its seed; every promise is looked at after
every write and at every start. `make soak` runs a million lives, or as many as COVEY_SOAK_SECONDS allow."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from .broken import Broken
from .script import write
from .shrinking import failure, report
from .world import World

SEEDS = 1000
CHUNKS = 8
"""The histories come in so many tests, so that several processes share them."""

SOAK_LIVES = 1_000_000
SOAK_FROM = 1_000_000


@dataclass
class Held:
    """What was run, and held."""

    histories: int = 0
    lives: int = 0
    starts: int = 0
    writes: int = 0

    def run(self, seed: int) -> None:
        """Run one history; fails with the shortest that does."""
        script = write(seed)
        world = World(script)
        try:
            world.run()
        except Exception as failed:
            pytest.fail(report(script, failed), pytrace=False)
        self.histories += 1
        self.lives += script.items
        self.starts += sum(map(len, world.ledger.starts.values()))
        self.writes += world.ledger.writes

    def until(self, seeds: Iterable[int], over: float, lives: int) -> None:
        """Run histories until a time, or so many lives."""
        for seed in seeds:
            self.run(seed)
            if time.monotonic() > over or self.lives >= lives:
                return


@pytest.fixture
def held() -> Iterator[Held]:
    """Prints what was run, and how fast."""
    held, began = Held(), time.monotonic()
    yield held
    seconds = time.monotonic() - began
    print(
        f"{held.histories} histories: {held.lives} lives, {held.starts} starts, {held.writes} writes counted again, "
        f"{seconds:.1f} s, {held.lives / seconds:.0f} lives a second"
    )


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_promise_holds(chunk: int, held: Held) -> None:
    for seed in range(chunk, SEEDS, CHUNKS):
        held.run(seed)


@pytest.mark.soak
def test_every_promise_holds_for_long(held: Held) -> None:
    seconds = os.environ.get("COVEY_SOAK_SECONDS")
    over = float("inf") if seconds is None else time.monotonic() + float(seconds)
    seeds = iter(range(SOAK_FROM, SOAK_FROM + 100_000_000))
    held.until(seeds, over, SOAK_LIVES if seconds is None else 1 << 60)


def traced(seed: int) -> list[str]:
    world = World(write(seed), trace=True)
    world.run()
    assert world.ledger.trace
    return world.ledger.trace


@pytest.mark.parametrize("seed", [3, 14, 80, 85])
def test_a_seed_is_a_history(seed: int) -> None:
    assert traced(seed) == traced(seed)


def test_a_failure_is_told_by_its_shortest_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a promise that nobody can keep: that no batch is ever stopped."""
    script = next(found for found in map(write, range(SEEDS)) if " what='stop'" in "".join(found.lines()))

    def refuse(*_: object) -> None:
        raise Broken("nobody stops anything")

    monkeypatch.setattr("tests.simulation.ledger.Ledger.stopped", refuse)
    failed = failure(script)
    assert isinstance(failed, Broken)
    told = report(script, failed)
    assert "the shortest history that does it, 2 of" in told
    assert f"python -m tests.simulation {script.seed} --only" in told
