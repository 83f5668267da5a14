"""Who may check a list now: cores, workspaces, the line's end, and those who go away."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from covey.calls.intake import CheckQueue, TooManyChecks


class Checks:
    """Checks that run until they are let go, by name; a workspace is the name's first letter."""

    def __init__(self, queue: CheckQueue) -> None:
        self.queue = queue
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str) -> None:
        for name in names:
            self._ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._check(name))
            await settle()

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
            await self.tasks[name]
            await settle()

    async def leave(self, name: str) -> None:
        self.tasks[name].cancel()
        await settle()
        assert self.tasks[name].cancelled()

    def refused(self, name: str) -> bool:
        return self.tasks[name].done() and isinstance(self.tasks[name].exception(), TooManyChecks)

    async def _check(self, name: str) -> None:
        async with self.queue.turn(name[0]):
            self.begun.append(name)
            await self._ends[name].wait()


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def opened(at_once: int = 2, most_waiting: int = 20) -> AsyncIterator[Checks]:
    """Checks that are all gone at the end, the line being empty then."""
    checks = Checks(CheckQueue(at_once, most_waiting))
    try:
        yield checks
    finally:
        for task in checks.tasks.values():
            task.cancel()
        await asyncio.gather(*checks.tasks.values(), return_exceptions=True)
        assert (checks.queue.running, checks.queue.waiting) == (0, 0)


async def test_as_many_at_once_as_there_are_cores() -> None:
    async with opened(2) as checks:
        await checks.come("a1", "a2", "a3", "a4")
        assert checks.begun == ["a1", "a2"]
        await checks.end("a2")
        assert checks.begun == ["a1", "a2", "a3"]
        await checks.end("a1", "a3", "a4")
    queue, cores = CheckQueue(), len(os.sched_getaffinity(0))
    async with AsyncExitStack() as stack:
        for _ in range(cores):
            await stack.enter_async_context(queue.turn("a"))
        waiting = asyncio.create_task(stack.enter_async_context(queue.turn("a")))
        await settle()
        assert (queue.running, queue.waiting) == (cores, 1)
        waiting.cancel()


async def test_a_workspace_has_one_while_others_wait() -> None:
    async with opened(2) as checks:
        await checks.come("a1", "a2", "a3", "b1", "b2", "c1")
        await checks.end("a1")
        assert checks.begun[2:] == ["b1"]
        await checks.end("a2")
        assert checks.begun[3:] == ["c1"]
        await checks.end("b1")
        assert checks.begun[4:] == ["a3"]
        await checks.end("c1")
        assert checks.begun[5:] == ["b2"]


async def test_on_one_core_workspaces_take_turns() -> None:
    async with opened(1) as checks:
        await checks.come("a1", "a2", "a3", "a4", "b1", "b2", "c1")
        for name in ("a1", "b1", "c1", "a2", "b2", "a3", "a4"):
            assert checks.begun[-1] == name
            await checks.end(name)


async def test_beyond_the_line_it_is_said_that_there_are_too_many() -> None:
    async with opened(1, most_waiting=3) as checks:
        await checks.come("a1", "a2", "a3", "a4", "a5")
        assert checks.refused("a5")
        assert (checks.queue.running, checks.queue.waiting) == (1, 3)
        with pytest.raises(TooManyChecks) as caught:
            async with checks.queue.turn("a"):
                raise AssertionError
        assert (caught.value.status, caught.value.code) == (429, "too_many_checks")
        await checks.end("a1", "a2", "a3", "a4")
        assert checks.begun == ["a1", "a2", "a3", "a4"]


async def test_who_fills_the_line_keeps_nobody_else_out_of_it() -> None:
    async with opened(1, most_waiting=3) as checks:
        await checks.come("a1", "a2", "a3", "a4", "b1")
        assert checks.refused("a4")
        await checks.come("c1", "b2")
        assert checks.refused("a3")
        assert checks.refused("b2")
        await checks.end("a1", "b1", "c1", "a2")


async def test_whoever_goes_away_leaves_the_line_and_the_turn() -> None:
    async with opened(1, most_waiting=2) as checks:
        await checks.come("a1", "a2", "a3")
        await checks.leave("a2")
        await checks.come("a4")
        assert not checks.refused("a4")
        await checks.leave("a1")
        assert checks.begun == ["a1", "a3"]
        await checks.end("a3", "a4")


async def test_a_turn_that_came_too_late_goes_to_the_next() -> None:
    """The task is cancelled after it was called and before it runs."""
    async with opened(1) as checks:
        await checks.come("a1", "a2", "a3")
        checks._ends["a1"].set()
        await checks.tasks["a1"]
        checks.tasks["a2"].cancel()
        await settle()
        assert checks.begun[-1] == "a3"


async def test_a_check_that_fails_gives_its_turn_back() -> None:
    queue = CheckQueue(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="bad"):
            async with queue.turn("a"):
                raise ValueError("bad")
    assert (queue.running, queue.waiting) == (0, 0)
