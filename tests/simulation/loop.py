"""An event loop whose time stands still while anything is to be done, and whose tasks belong to simulated processes.

Between two processes that both have something to do, a seeded coin decides; within one the order is asyncio's own.
"""

import asyncio
import heapq
import itertools
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""What the true time is when a simulation begins."""

STEPS_OF_A_MOMENT = 50_000
"""So many callbacks in one moment of time say that somebody runs in a circle."""


class Process:
    """What runs together, freezes together and dies together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: deque[Handle] = deque()
        self.frozen = False
        self.dead = False
        self.tasks: list[asyncio.Task[Any]] = []
        self.context = copy_context()
        self.context.run(_process.set, self)

    @property
    def running(self) -> bool:
        return not self.frozen and not self.dead


WORLD = Process.__new__(Process)
"""What is in no process: the network, the database, the far side, the hand that makes things fail."""

_process: ContextVar[Process] = ContextVar("process", default=WORLD)
WORLD.__init__("world")  # type: ignore[misc]


class Handle(asyncio.TimerHandle):
    """A callback that waits for its turn, or for its time."""

    __slots__ = ("process",)

    def __init__(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context, process: Process
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._context = context
        self._cancelled = False
        self.process = process

    def cancel(self) -> None:
        self._cancelled = True
        self._args = ()


class Loop(asyncio.AbstractEventLoop):
    """Virtual seconds from 0; jumps to the next timer when nobody has anything to do."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._now = 0.0
        self._timers: list[tuple[float, int, Handle]] = []
        self._numbers = itertools.count()
        self._runnable: list[Process] = []
        self._processes: list[Process] = [WORLD]
        self.failure: BaseException | None = None
        self._stopping = False
        WORLD.ready.clear()
        WORLD.tasks.clear()

    # What asyncio asks of a loop

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        if context is None:
            context = copy_context()
        process = context.get(_process, WORLD)
        handle = Handle(self._now, callback, args, context, process)
        self._push(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        if context is None:
            context = copy_context()
        handle = Handle(when, callback, args, context, context.get(_process, WORLD))
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Generator[Any, None, T] | Coroutine[Any, Any, T], *, name: str | None = None, context: Any = None
    ) -> asyncio.Task[T]:
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        (context or copy_context()).get(_process, WORLD).tasks.append(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.fail(context.get("exception") or AssertionError(context.get("message")))

    # Processes

    def process(self, name: str) -> Process:
        """A new process."""
        process = Process(name)
        self._processes.append(process)
        return process

    def spawn(self, process: Process, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` as a task of a process."""
        return process.context.run(self.create_task, work)

    def at(self, when: float, callback: Callable[..., object], *args: Any) -> Handle:
        """Call something that is in no process, at a time; it happens whatever freezes or dies."""
        handle = Handle(when, callback, args, WORLD.context, WORLD)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def freeze(self, process: Process) -> None:
        """Nothing of it runs until it is thawed; its timers come late."""
        process.frozen = True
        self._forget(process)

    def thaw(self, process: Process) -> None:
        """It goes on as if no time had passed."""
        process.frozen = False
        if process.ready and not process.dead:
            self._runnable.append(process)

    def kill(self, process: Process) -> None:
        """Nothing of it ever runs again, not even what would clean up."""
        process.dead = True
        process.ready.clear()
        self._forget(process)

    def _forget(self, process: Process) -> None:
        if process in self._runnable:
            self._runnable.remove(process)

    # Running

    def fail(self, failure: BaseException) -> None:
        """End the simulation: something is wrong. The first failure stays."""
        if self.failure is None:
            self.failure = failure

    def stop(self) -> None:
        self._stopping = True

    def run_until(self, limit: float) -> None:
        """Run until `stop`, or the time is `limit`. Raises what failed."""
        earlier = events._get_running_loop()
        events._set_running_loop(self)
        try:
            self._run_moment()
            while self.failure is None and not self._stopping and self._next_moment(limit):
                self._run_moment()
        finally:
            events._set_running_loop(earlier)
        if self.failure is not None:
            raise self.failure

    def _run_moment(self) -> None:
        runnable, dice = self._runnable, self._dice.random
        steps = 0
        while runnable and self.failure is None:
            steps += 1
            if steps > STEPS_OF_A_MOMENT:
                raise AssertionError(f"{runnable[0].name} runs in a circle")
            index = int(dice() * len(runnable)) if len(runnable) > 1 else 0
            process = runnable[index]
            ready = process.ready
            handle = ready.popleft()
            if not ready:
                runnable[index] = runnable[-1]
                runnable.pop()
            if not handle._cancelled:
                try:
                    handle._context.run(handle._callback, *handle._args)
                except BaseException as error:
                    self.fail(error)

    def _next_moment(self, limit: float) -> bool:
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers or timers[0][0] > limit:
            return False
        self._now = now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= now:
            handle = heapq.heappop(timers)[2]
            if not handle._cancelled:
                self._push(handle)
        return True

    def _push(self, handle: Handle) -> None:
        process = handle.process
        if process.dead:
            return
        if not process.ready and not process.frozen:
            self._runnable.append(process)
        process.ready.append(handle)

    def end(self) -> None:
        """Let go of everything: no task of any process runs again, and none of them cleans up."""
        self._timers.clear()
        for process in self._processes:
            process.dead = True
            process.ready.clear()
            for task in process.tasks:
                if not task.done():
                    _discard(task.get_coro())
            process.tasks.clear()
        WORLD.dead = False
        self._runnable.clear()


def _discard(coroutine: Any) -> None:
    """End a coroutine that will never run again; what it does on the way out reaches nobody any more."""
    for _ in range(10):
        try:
            coroutine.close()
        except BaseException:  # it awaited something while it was being ended
            continue
        return


class ProcessClock:
    """A machine's clock: `ahead` seconds before the true time, its monotonic seconds from an origin of its own and a
    little too fast or slow."""

    def __init__(self, loop: Loop, ahead: float = 0.0, origin: float = 0.0, drift: float = 0.0) -> None:
        self._loop = loop
        self.ahead = ahead
        self._origin = origin
        self._rate = 1.0 + drift

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self._loop._now + self.ahead)

    def monotonic(self) -> float:
        return self._origin + self._loop._now * self._rate

    def real(self, monotonic: float) -> float:
        """The loop's time at a moment of this machine's monotonic clock."""
        return (monotonic - self._origin) / self._rate
