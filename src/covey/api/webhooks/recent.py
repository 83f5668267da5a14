"""What was read a moment ago, for those who ask for the same again: one event goes to many endpoints."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 256
SECONDS = 2.0


class Recent(Generic[T]):
    """Keeps the last few answers, each for a moment; whoever asks while one is being read waits for that one."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[float, asyncio.Future[T]]] = {}

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` answers, or answered a moment ago for this key. What it raises is not kept."""
        now = asyncio.get_running_loop().time()
        at, answer = self._kept.get(key, (0.0, None))
        if answer is None or now - at > SECONDS or (answer.done() and (answer.cancelled() or answer.exception())):
            self._forget(now)
            self._kept.pop(key, None)
            answer = asyncio.ensure_future(read())
            self._kept[key] = now, answer
        return await asyncio.shield(answer)

    def _forget(self, now: float) -> None:
        """Drop what is old, and the oldest where there is too much."""
        for key, (at, _) in list(self._kept.items()):
            if now - at <= SECONDS and len(self._kept) < MOST:
                break
            del self._kept[key]
