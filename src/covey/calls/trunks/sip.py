"""The SIP trunk: supervises its diallers and places calls with them.

A dial command goes to one dialler, once. Diallers that die are replaced, with growing pauses when they die early.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from covey.calls.call import CallEnd, CallOrder, CallReport, CallWatch, Recognize
from covey.calls.trunks.dialler.supervisor import READY_SECONDS, DiallerProcess
from covey.calls.trunks.ping import ping
from covey.calls.trunks.settings import CALLS_PER_DIALLER, SipSettings, is_e164

logger = structlog.get_logger()

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 3.0
HEALTHY_SECONDS: Final = 3.0
"""A dialler that lived this long is replaced at once."""


class SipTrunk:
    """A trunk over SIP (see `covey.calls.call.Trunk`). Start it on the process's main thread."""

    def __init__(
        self,
        settings: SipSettings,
        recognize: Recognize,
        keep_open: Sequence[int] = (),
        *,
        open_calls: Path | None = None,
        on_restart: Callable[[], None] = lambda: None,
    ) -> None:
        """`keep_open` are descriptors every dialler inherits and holds as long as it lives; `open_calls` is the folder
        that tells which diallers may have left calls open (see `markers`); `on_restart` is called for every dialler
        that died and is replaced."""
        self.name = settings.name
        self.live = settings.live
        self.restarts = 0
        self._settings = settings
        self._recognize = recognize
        self._keep_open = tuple(keep_open)
        self._open_calls = open_calls
        self._on_restart = on_restart
        self._crew: list[DiallerProcess] = []
        self._posts: set[asyncio.Task[None]] = set()
        self._lives: set[asyncio.Task[None]] = set()
        self._wakings: set[asyncio.Task[None]] = set()
        self._orders: dict[str, CallEnd | None] = {}
        """The orders that were not reported yet, and what is to become of those that no dialler has."""
        self._changed = asyncio.Condition()
        self._stopping = asyncio.Event()

    @property
    def pids(self) -> list[int]:
        """The process ids of the diallers that can place calls now."""
        return [dialler.pid for dialler in self._crew if dialler.ready and dialler.pid is not None]

    @property
    def settings(self) -> SipSettings:
        return self._settings

    async def start(self) -> None:
        """Start the diallers its channels need and wait until one is ready; after a stop or a failed start too.

        Raises TimeoutError if none gets ready, RuntimeError if the trunk is stopped meanwhile; then nothing runs.
        """
        if self._posts:
            return
        self._stopping = stopping = asyncio.Event()
        try:
            for _ in range(math.ceil(self._settings.channels / CALLS_PER_DIALLER)):
                self._keep(self._posts, self._man(stopping))
            async with asyncio.timeout(READY_SECONDS):
                if await self._with_room(float("inf")) is None:
                    raise RuntimeError("The trunk was stopped while it started")
        except BaseException:
            if self._stopping is stopping:
                await self._dismiss()
            raise

    async def place(self, order: CallOrder, watch: CallWatch) -> CallReport:
        """Place one call and see it to its end."""
        if not is_e164(order.number):
            return _unplaced(CallEnd.invalid_number, "not a number that can be dialled")
        self._orders[order.id] = None
        try:
            dialler = await self._with_room(order.lease.until, order.id)
            if (end := self._orders[order.id]) is not None:
                return _unplaced(end, "called off before the dial")
            if dialler is None:
                return _unplaced(CallEnd.not_started, "no dialler was free in time")
            return await self._see_through(dialler, order, watch)
        finally:
            del self._orders[order.id]

    async def withdraw(self, call: str) -> None:
        """Do not dial a call whose dial has not begun."""
        await self._call_off(call, CallEnd.not_started)
        for dialler in self._crew:
            if dialler.withdraw(call):
                return

    async def hang_up(self, call: str) -> None:
        """End one call now."""
        await self._call_off(call, CallEnd.aborted)
        for dialler in self._crew:
            if dialler.hang_up(call):
                return

    async def _call_off(self, call: str, end: CallEnd) -> None:
        """If the call still waits for a dialler, it comes to this end."""
        if call in self._orders:
            self._orders[call] = end
            await self._wake()

    async def ping(self) -> str | None:
        """Ask the far side whether it is there."""
        return await ping(self._settings)

    async def stop(self) -> None:
        """End every call; afterwards no dialler is left."""
        await self._dismiss()

    async def _dismiss(self) -> None:
        self._stopping.set()
        await self._wake()
        crew, posts = list(self._crew), list(self._posts)
        for post in posts:
            post.cancel()
        await asyncio.gather(*(dialler.stop() for dialler in crew))
        await asyncio.gather(*posts, *self._lives, return_exceptions=True)
        await self._wake()

    async def _see_through(self, dialler: DiallerProcess, order: CallOrder, watch: CallWatch) -> CallReport:
        report = dialler.place(order, watch)
        try:
            return await asyncio.shield(report)
        except asyncio.CancelledError:
            dialler.hang_up(order.id)
            raise
        finally:
            await self._wake()

    async def _with_room(self, until: float, order: str | None = None) -> DiallerProcess | None:
        """The dialler with the most room, waited for until that moment of the monotonic clock, or until the `order` is
        called off."""
        async with self._changed:
            while self._orders.get(order or "") is None:
                best = max(self._crew, key=lambda dialler: dialler.capacity, default=None)
                if best is not None and best.capacity > 0:
                    return best
                left = until - monotonic()
                if left <= 0 or self._stopping.is_set():
                    return None
                try:
                    await asyncio.wait_for(self._changed.wait(), None if left == float("inf") else left)
                except TimeoutError:
                    return None
            return None

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _man(self, stopping: asyncio.Event) -> None:
        """Keep one dialler at its post until the trunk stops."""
        pause = FIRST_PAUSE
        while not stopping.is_set():
            began = monotonic()
            dialler = DiallerProcess(self._settings, self._recognize, self._keep_open, self._open_calls, stopping)
            self._crew.append(dialler)
            self._keep(self._lives, dialler.live(self._on_ready))
            try:
                await dialler.gone()
            finally:
                self._crew.remove(dialler)
            if stopping.is_set():
                return
            self.restarts += 1
            self._on_restart()
            pause = FIRST_PAUSE if monotonic() - began > HEALTHY_SECONDS else min(pause * 2, LONGEST_PAUSE)
            logger.error("dialler_died", pid=dialler.pid, next_in=pause)
            await asyncio.sleep(pause)

    def _on_ready(self) -> None:
        self._keep(self._wakings, self._wake())

    @staticmethod
    def _keep(tasks: "set[asyncio.Task[None]]", work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def _unplaced(end: CallEnd, text: str) -> CallReport:
    return CallReport(end, datetime.now(UTC), text=text)
