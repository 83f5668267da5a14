"""Histories of the real engine on simulated machines, each from its seed; every promise is looked at after every write
and at every start. The default suite and `make test-slow` run a thousand between them, `make soak` a million lives, or
as many as COVEY_SOAK_SECONDS allow."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .broken import Broken
from .script import Kind, write
from .shrinking import failure, report
from .world import World

SEEDS = 1000
FAIL_OVERS = [range(50), pytest.param(range(50, 250), marks=pytest.mark.slow)]
STUMBLING = [range(25), pytest.param(range(25, 100), marks=pytest.mark.slow)]
FLOODS = [range(15), pytest.param(range(15, 150), marks=pytest.mark.slow)]
CHUNKS = 16
"""The histories come in so many tests, so that several processes share them. The first, in the default suite, has the
seeds that docs/testing.md names."""

ROOT = Path(__file__).parents[2]

SOAK_LIVES = 1_000_000
SOAK_FLOODED_LIVES = 100_000
SOAK_FROM = 1_000_000


@dataclass
class Held:
    """What was run, and held."""

    histories: int = 0
    lives: int = 0
    starts: int = 0
    writes: int = 0
    seconds: float = 0.0
    lost: int = 0
    again: int = 0

    def run(self, seed: int, kind: Kind = Kind.any) -> None:
        """Run one history; fails with the shortest that does."""
        script = write(seed, kind)
        world = World(script)
        try:
            world.run()
        except Exception as failed:
            pytest.fail(report(script, failed, kind), pytrace=False)
        self.histories += 1
        self.lives += script.items
        self.starts += sum(map(len, world.ledger.starts.values()))
        self.writes += world.ledger.writes
        losses = world.ledger.losses
        self.lost += losses.lost
        self.again += losses.early + losses.unremembered

    def until(self, seeds: Iterable[int], over: float, lives: int) -> None:
        """Run histories until a time, or so many lives."""
        for seed in seeds:
            self.run(seed)
            if time.monotonic() > over or self.lives >= lives:
                return

    def add(self, other: "Held") -> None:
        """Count another's as well."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def __str__(self) -> str:
        speed = self.lives / self.seconds if self.seconds else 0.0
        return (
            f"{self.histories} seeds, {self.lives} lives, {self.starts} starts, {self.writes} writes counted again, "
            f"{self.seconds:.1f} s, {speed:.0f} lives a second"
        )


@pytest.fixture(scope="module")
def total() -> Iterator[Held]:
    """Prints at the end what this process has run of all."""
    total = Held()
    yield total
    print(f"\nthe simulator: {total}")


@pytest.fixture
def held(total: Held) -> Iterator[Held]:
    """What one test runs."""
    held, began = Held(), time.monotonic()
    yield held
    held.seconds = time.monotonic() - began
    total.add(held)


@pytest.mark.parametrize("chunk", [0, *(pytest.param(chunk, marks=pytest.mark.slow) for chunk in range(1, CHUNKS))])
def test_every_promise_holds(chunk: int, held: Held) -> None:
    for seed in range(SEEDS * chunk // CHUNKS, SEEDS * (chunk + 1) // CHUNKS):
        held.run(seed)


@pytest.mark.parametrize("seeds", FAIL_OVERS)
def test_what_a_fail_over_loses_is_noticed_in_time(seeds: range, held: Held) -> None:
    """Acknowledged commits are lost: the batches of runs that somebody holds are paused, and all else holds as ever."""
    for seed in seeds:
        held.run(seed, Kind.fail_over)
    print(f"\n{held.histories} fail-overs: {held.lost} starts lost, {held.again} items started again before a pause")
    assert held.lost


@pytest.mark.parametrize("seeds", STUMBLING)
def test_every_promise_holds_where_answers_are_late_by_themselves(seeds: range, held: Held) -> None:
    """A lost packet makes one answer late, and others pass it: whoever draws conclusions must know that it may come."""
    for seed in seeds:
        held.run(seed, Kind.stumbling)


@pytest.mark.parametrize("seeds", FLOODS)
def test_every_promise_holds_beside_a_workspace_that_floods_its_lanes(seeds: range, held: Held) -> None:
    """And nobody starves; see `turns`."""
    for seed in seeds:
        held.run(seed, Kind.flooding)


@pytest.mark.soak
def test_every_promise_holds_beside_a_flood_for_long(held: Held) -> None:
    held.until(range(SOAK_FROM, SOAK_FROM + 100_000_000), float("inf"), SOAK_FLOODED_LIVES)
    print(f"\n{held}")


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


def test_a_seed_is_the_same_history_in_every_process() -> None:
    """Whatever the order of its sets."""

    def told(hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.simulation", "14", "--trace"]
        environ = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(command, env=environ, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    first = told("1")
    assert "held: " in first
    assert told("2") == first


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
