"""The far side, and the runner that addresses it as real ones do: it looks at the licence, and whether the run was
withdrawn, in the last step before the wire, and a run that is dropped ends at once."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson

from covey.domain.run import INTERNAL_ERROR, Blame, Failed, Outcome, Retry, Returned, Succeeded
from covey.engine.runner import CannotGoOn, Run

from .ledger import Ledger
from .loop import ProcessClock

LONGEST = 8.0
"""No run lasts longer."""

_MASK = (1 << 64) - 1


def chance(*numbers: int) -> float:
    """A number below 1 that belongs to these numbers: the same however the history around it changes."""
    mixed = 0x9E3779B97F4A7C15
    for number in numbers:
        mixed = (mixed ^ number) * 0xBF58476D1CE4E5B9 & _MASK
        mixed ^= mixed >> 29
    mixed = mixed * 0x94D049BB133111EB & _MASK
    return (mixed >> 11) / (1 << 53)


class OwnFault(Exception):
    """What the simulated runner raises where a real one has a fault."""


class FarSide:
    """What every run comes to."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.sick: set[str] = set()
        self.calm = False

    def seconds(self, run: Run, usual: float) -> float:
        """How long a run lasts."""
        return min(LONGEST, usual * 2 * chance(self._seed, int(run.batch[8:14], 16), run.seq, run.attempt))

    def outcome(self, run: Run, clock: ProcessClock) -> Outcome | Exception:
        """What a run comes to."""
        if self.calm:
            return Succeeded("good", {}, 1.0)
        if run.lane in self.sick:
            return Returned("no_route", "the far side is away", Blame.either)
        dice = chance(self._seed + 1, int(run.batch[8:14], 16), run.seq, run.attempt)
        if dice < 0.7:
            return Succeeded("good", {}, 1.0)
        if dice < 0.8:
            return Failed("bad", "No")
        if dice < 0.84:
            return Failed("down", "503", blame=Blame.either)
        if dice < 0.92:
            return Retry(clock.now() + timedelta(seconds=40 * (dice - 0.84)), Failed("busy", "Busy"))
        if dice < 0.99:
            return Returned("no_route", "no way", Blame.either if dice < 0.95 else Blame.nothing)
        return OwnFault("the runner's own fault")

    def unreadable(self, run: Run) -> bool:
        """Whether a batch is beyond help."""
        return not self.calm and chance(self._seed + 2, int(run.batch[8:14], 16)) < 0.01


class SimulatedRunner:
    """One process's runner."""

    kind = "simulated"

    def __init__(self, far_side: FarSide, ledger: Ledger, clock: ProcessClock, worker: Callable[[], str]) -> None:
        self._far_side = far_side
        self._ledger = ledger
        self._clock = clock
        self._worker = worker

    def load_config(self, config: bytes) -> Any:
        return orjson.loads(config)

    async def ping(self, lane: str) -> str | None:
        return "away" if lane in self._far_side.sick else None

    async def run(self, run: Run) -> Outcome:
        if self._far_side.unreadable(run):
            raise CannotGoOn("its configuration cannot be read")
        if not await run.turn(self._clock.monotonic):
            return run.unstarted()
        usual = self._ledger.batches[run.batch].facts.seconds
        seconds = self._far_side.seconds(run, usual)
        start = self._ledger.start(run, self._worker(), seconds)
        if await _dropped_within(run, seconds):
            outcome: Outcome | Exception = Failed(run.drop_reason or "aborted", "It was dropped")
        else:
            outcome = self._far_side.outcome(run, self._clock)
        if isinstance(outcome, Exception):
            self._ledger.answered(start, INTERNAL_ERROR)
            raise outcome
        self._ledger.answered(start, outcome)
        return outcome


async def _dropped_within(run: Run, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await run.dropped.wait()
    except TimeoutError:
        return False
    return True
