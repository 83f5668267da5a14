"""The simulated trunk: no network and no sound; outcomes and durations come from a seeded model.

For load tests and dry runs. It has to be named, it never rings anybody, and everything it places says so.
"""

import asyncio
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final

import orjson

from covey.calls.call import CallClock, CallEnd, CallOrder, CallReport, CallWatch, Speaker, Turn

_UNANSWERED: Final = (
    (CallEnd.no_answer, 45, None),
    (CallEnd.busy, 25, 486),
    (CallEnd.unavailable, 15, 480),
    (CallEnd.rejected, 8, 603),
    (CallEnd.invalid_number, 7, 404),
)
"""What comes of calls that nobody answers: the end, its weight, its SIP code."""

_ANSWERED: Final = (
    (CallEnd.successful, 70),
    (CallEnd.declined, 12),
    (CallEnd.voicemail, 8),
    (CallEnd.hung_up, 6),
    (CallEnd.no_response, 4),
)


@dataclass(frozen=True, slots=True)
class SimulatedSettings:
    """The model: `answer_rate` of the calls are answered after `ring_seconds` on average and then last
    `talk_seconds` on average (both exponential). `speed` divides every duration. `log` gets a line for every start,
    which is in the kernel's hands before the start counts."""

    name: str = "simulated"
    seed: int = 0
    answer_rate: float = 0.7
    ring_seconds: float = 6.0
    talk_seconds: float = 25.0
    speed: float = 1.0
    log: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.answer_rate <= 1:
            raise ValueError(f"answer_rate is a share of 0 to 1, not {self.answer_rate}")
        if self.speed <= 0 or self.ring_seconds < 0 or self.talk_seconds < 0:
            raise ValueError("durations cannot be negative and speed must be more than 0")


@dataclass(frozen=True, slots=True)
class Fate:
    """What the model has in store for one call. Durations in seconds, before `speed`."""

    end: CallEnd
    sip_code: int | None
    ring: float
    talk: float | None


def starts(log: Path) -> Iterator[dict[str, Any]]:
    """The starts that a log tells of: `batch`, `item`, `attempt`, and `at` in monotonic seconds. A line that a kill
    tore tells of none: its process died before the start could count."""
    with log.open("rb") as lines:
        for line in lines:
            if line.endswith(b"}\n"):
                yield orjson.loads(line)


def fate(settings: SimulatedSettings, item: str, attempt: int) -> Fate:
    """The fate of one attempt at one item: the same for the same seed, on every machine."""
    dice = random.Random(f"{settings.seed}/{item}/{attempt}")
    ring = dice.expovariate(1 / settings.ring_seconds) if settings.ring_seconds else 0.0
    if dice.random() < settings.answer_rate:
        end = dice.choices([row[0] for row in _ANSWERED], [row[1] for row in _ANSWERED])[0]
        talk = dice.expovariate(1 / settings.talk_seconds) if settings.talk_seconds else 0.0
        return Fate(end, 200, ring, talk)
    row = dice.choices(_UNANSWERED, [row[1] for row in _UNANSWERED])[0]
    return Fate(row[0], row[2], ring, None)


class SimulatedTrunk:
    """A trunk that only plays at it (see `covey.calls.call.Trunk`)."""

    live = False

    def __init__(self, settings: SimulatedSettings) -> None:
        self.name = settings.name
        self._settings = settings
        self._dropped: dict[str, asyncio.Event] = {}
        self._withdrawn: dict[str, asyncio.Event] = {}
        self._log: int | None = None

    async def start(self) -> None:
        """Open the log of starts, and end the line that a killed life may have left. Raises OSError if the log cannot
        be written."""
        if self._settings.log is not None:
            self._log = os.open(self._settings.log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            size = os.fstat(self._log).st_size
            if size and os.pread(self._log, 1, size - 1) != b"\n":
                os.write(self._log, b"\n")

    async def place(self, order: CallOrder, watch: CallWatch) -> CallReport:
        """Play one call to its end."""
        dropped = self._dropped[order.id] = asyncio.Event()
        self._withdrawn[order.id] = asyncio.Event()
        try:
            return await self._play(order, watch, dropped)
        finally:
            del self._dropped[order.id], self._withdrawn[order.id]

    async def withdraw(self, call: str) -> None:
        """Do not start one call; one that has started goes on."""
        if event := self._withdrawn.get(call):
            event.set()

    async def hang_up(self, call: str) -> None:
        """End one call now."""
        if event := self._dropped.get(call):
            event.set()
            self._withdrawn[call].set()

    async def ping(self) -> str | None:
        """It is always there."""
        return None

    async def stop(self) -> None:
        """End every call."""
        for call in list(self._dropped):
            await self.hang_up(call)
        if self._log is not None:
            os.close(self._log)
            self._log = None

    async def _play(self, order: CallOrder, watch: CallWatch, dropped: asyncio.Event) -> CallReport:
        clock = CallClock()
        if await _happens(self._withdrawn[order.id], order.lease.start_at - monotonic()):
            return _report(clock, CallEnd.aborted if dropped.is_set() else CallEnd.not_started)
        if monotonic() > order.lease.until:
            return replace(_report(clock, CallEnd.not_started), text="its start came too late")
        self._note(order)
        dialled_at = clock.now()
        watch.dialling()
        watch.reached()
        ahead = fate(self._settings, order.item, order.attempt)
        watch.ringing()
        if await _happens(dropped, self._lasts(min(ahead.ring, order.ring_seconds))):
            return _report(clock, CallEnd.aborted, dialled_at)
        if ahead.talk is None or ahead.ring > order.ring_seconds:
            end, code = (CallEnd.no_answer, None) if ahead.ring > order.ring_seconds else (ahead.end, ahead.sip_code)
            return _report(clock, end, dialled_at, sip_code=code)
        answered_at = clock.now()
        watch.answered()
        if await _happens(dropped, self._lasts(min(ahead.talk, order.longest_seconds))):
            return _report(clock, CallEnd.aborted, dialled_at, answered_at, 200)
        end = CallEnd.too_long if ahead.talk > order.longest_seconds else ahead.end
        return _talked(order, end, clock, dialled_at, answered_at, watch)

    def _lasts(self, seconds: float) -> float:
        return seconds / self._settings.speed

    def _note(self, order: CallOrder) -> None:
        """Write the start down before it counts: whatever happens after, it is known that it happened."""
        if self._log is not None:
            facts = {"batch": order.batch, "item": order.item, "attempt": order.attempt, "at": monotonic()}
            os.write(self._log, orjson.dumps(facts) + b"\n")


async def _happens(dropped: asyncio.Event, within: float) -> bool:
    if dropped.is_set():
        return True
    try:
        await asyncio.wait_for(dropped.wait(), max(0.0, within))
    except TimeoutError:
        return False
    return True


def _talked(
    order: CallOrder, end: CallEnd, clock: CallClock, dialled_at: datetime, answered_at: datetime, watch: CallWatch
) -> CallReport:
    said = tuple(Turn(Speaker.agent, line.text, 0.0) for line in order.script.opening)
    for turn in said:
        watch.turn(turn)
    answer = {CallEnd.successful: True, CallEnd.declined: False}.get(end)
    answers = {ask.name: answer for ask in order.script.asks} if answer is not None else {}
    return CallReport(
        end,
        clock.now(),
        dialled_at,
        answered_at,
        200,
        "simulated",
        turns=said,
        answers=answers,
    )


def _report(
    clock: CallClock,
    end: CallEnd,
    dialled_at: datetime | None = None,
    answered_at: datetime | None = None,
    sip_code: int | None = None,
) -> CallReport:
    return CallReport(end, clock.now(), dialled_at, answered_at, sip_code, "simulated")
