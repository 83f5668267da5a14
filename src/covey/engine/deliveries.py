"""The deliveries: claims what is due, sends it, and writes down what came of it. A receiver that hangs delays nobody.

A delivery that was claimed is due again after its lease, whatever becomes of this process: what was sent and not
written down is sent again, under the same id.
"""

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from covey.domain.clock import Clock
from covey.domain.errors import Unavailable
from covey.loop import Loop
from covey.store.results import Due, Tried
from covey.store.store import Webhooks

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
WAKEUP_SECONDS = 0.2
"""Delay after a wakeup, so that one look serves many: most events have no endpoint to go to."""

GATHER_SECONDS = 0.01
"""What ends within this time is written down together."""

MOST_AT_ONCE = 128
"""The most deliveries in flight at once. The limits of one endpoint are in the store."""

QUICK = timedelta(seconds=1)
"""An endpoint that answers within this time has more deliveries on their way than others."""

REST = timedelta(seconds=1)
"""So long nothing goes to an endpoint that has just failed: one that refuses at once is not asked without a pause."""

GIVE_UP_AFTER = timedelta(hours=24)
"""So long after its event a delivery is not tried again whose sender failed in itself."""

LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Sender(Protocol):
    """What sends a delivery over the wire."""

    async def send(self, due: Due, now: datetime) -> Tried:
        """Send it once, within a time limit of its own; what came of it."""
        ...


@dataclass(slots=True)
class _Line:
    """What this process knows of an endpoint: when each delivery that is on its way, or not written down, began (the
    oldest first), whether the last answer was good and came quickly, and until when it is left alone."""

    began: dict[str, datetime] = field(default_factory=dict)
    quick: bool = False
    rests_until: datetime = LONG_AGO

    def is_quick(self, now: datetime) -> bool:
        """Whether it answers quickly, as far as is known at this moment."""
        return self.quick and now - next(iter(self.began.values()), now) < QUICK

    def is_resting(self, now: datetime) -> bool:
        """Whether it is left alone at this moment. A clock that was set back makes no rest longer."""
        return timedelta(0) < self.rests_until - now <= REST


class Deliveries(Loop):
    """Looks once a second, at once when deliveries have ended or `look` is called, and soon after a wakeup."""

    name = "deliveries"
    seconds = LOOK_SECONDS

    def __init__(self, store: Webhooks, clock: Clock, sender: Sender, lease: timedelta) -> None:
        """`lease` is how long a claimed delivery stays with this process: the sender's time limit, and some more."""
        self._store = store
        self._clock = clock
        self._sender = sender
        self._lease = lease
        self._lines: dict[str, _Line] = defaultdict(_Line)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[tuple[Due, Tried]] = []
        self._woken: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Something is due: look now."""
        self.wake.set()

    def wakeup(self) -> None:
        """Something may be due: look soon."""
        if self._woken is None:
            self._woken = asyncio.get_running_loop().call_later(WAKEUP_SECONDS, self.look)

    @property
    def on_their_way(self) -> int:
        """How many deliveries are being sent, or are not written down yet."""
        return sum(len(line.began) for line in self._lines.values())

    async def stop(self) -> None:
        """End the loop, write down what has ended, and drop what is on its way: it comes due again by its lease."""
        await super().stop()
        if self._woken is not None:
            self._woken.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Unavailable):
            await self._settle()
        self._lines.clear()

    async def round(self) -> None:
        """Write down what has ended, then claim what there is room for, and begin to send it."""
        self.wake.clear()
        if self._woken is not None:
            self._woken.cancel()
            self._woken = None
        await self._settle()
        await self._claim()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.seconds):
                await self.wake.wait()
                await asyncio.sleep(GATHER_SECONDS)

    async def _claim(self) -> None:
        """Claim what there is room for, and begin to send it. What is on its way already is not sent beside itself: its
        lease is over too early where the machine slept, or its clock was set."""
        room = MOST_AT_ONCE - self.on_their_way
        if room <= 0:
            return
        now = self._clock.now()
        busy = {endpoint: len(line.began) for endpoint, line in self._lines.items() if line.began}
        quick = {endpoint for endpoint, line in self._lines.items() if line.is_quick(now)}
        resting = {endpoint for endpoint, line in self._lines.items() if line.is_resting(now)}
        claimed = await self._store.claim_deliveries(self._lease, room, busy, quick=quick, resting=resting)
        for due in claimed:
            if due.delivery.id not in self._lines[due.endpoint.id].began:
                self._begin(due)
        if len(claimed) == room:
            self.wake.set()
        for endpoint in [each for each, line in self._lines.items() if not line.began and not line.is_resting(now)]:
            del self._lines[endpoint]

    def _begin(self, due: Due) -> None:
        self._lines[due.endpoint.id].began[due.delivery.id] = self._clock.now()
        task = asyncio.create_task(self._deliver(due), name=f"delivery {due.delivery.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, due: Due) -> None:
        tried, now = await self._send(due), self._clock.now()
        line = self._lines[due.endpoint.id]
        line.quick = tried.accepted and now - line.began.get(due.delivery.id, LONG_AGO) < QUICK
        self._ended.append((due, tried))
        self.wake.set()

    async def _send(self, due: Due) -> Tried:
        """Send one; a sender that fails in itself, or hangs for longer than the lease, is tried again a while later."""
        try:
            async with asyncio.timeout(self._lease / timedelta(seconds=1)):
                return await self._sender.send(due, self._clock.now())
        except Exception:
            log.exception("delivery_failed", delivery=due.delivery.id)
        now = self._clock.now()
        young = now - due.delivery.at < GIVE_UP_AFTER
        return Tried(None, "Covey itself failed to send it", now + self._lease if young else None)

    async def _settle(self) -> None:
        """Write down what came of all that has ended; it stays in hand while the database does not answer."""
        group = list(self._ended)
        if not group:
            return
        try:
            await self._store.settle_deliveries([(due.delivery.id, tried) for due, tried in group])
        except Unavailable:
            raise
        except Exception:
            log.exception("delivery_outcomes_not_written", deliveries=len(group))
            await self._settle_singly(group)
        del self._ended[: len(group)]
        self._leave(group)

    async def _settle_singly(self, group: list[tuple[Due, Tried]]) -> None:
        """One that cannot be written down keeps no other: it is sent again after its lease."""
        for due, tried in group:
            try:
                await self._store.settle_deliveries([(due.delivery.id, tried)])
            except Unavailable:
                raise
            except Exception:
                log.exception("delivery_outcome_not_written", delivery=due.delivery.id)

    def _leave(self, group: list[tuple[Due, Tried]]) -> None:
        """These are not on their way any more. An endpoint that failed and accepted none rests."""
        failed = {due.endpoint.id for due, tried in group if tried.error is not None}
        failed -= {due.endpoint.id for due, tried in group if tried.accepted}
        for due, _ in group:
            line = self._lines[due.endpoint.id]
            line.began.pop(due.delivery.id, None)
            if due.endpoint.id in failed:
                line.rests_until = self._clock.now() + REST
