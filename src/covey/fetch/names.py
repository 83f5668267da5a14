"""Looks names up in threads: one look-up for all who ask for the same name, so that dead name servers hold up few."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

LOOK_UPS: Final = 256
"""So many names are looked up at once. Nothing ends a look-up: one whose name server is dead keeps its thread for ten
seconds or more (what glibc takes by default), however soon its askers turn away. So many names of dead servers it takes
before a good one has to wait. Threads are made when they are needed."""


@dataclass(slots=True)
class _LookUp:
    """One that is under way, and how many wait for it."""

    work: Future[list[str]]
    answer: asyncio.Future[list[str]]
    askers: int = 0


class Names:
    """The machine's own way to look names up. Whoever asks for a name that is being looked up gets that answer: many
    requests to one name whose server is dead take one thread, and so do all their repetitions."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOK_UPS, "covey-names")
        self._under_way: dict[tuple[str, int], _LookUp] = {}

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The IP addresses of a host and port, each once. Raises what `socket.getaddrinfo` raises."""
        key = host, port
        look_up = self._under_way.get(key) or self._begin(key)
        look_up.askers += 1
        try:
            return await asyncio.shield(look_up.answer)
        finally:
            look_up.askers -= 1
            if not look_up.askers and look_up.work.cancel():  # it had no thread yet, and nobody wants to know any more
                del self._under_way[key]

    def _begin(self, key: tuple[str, int]) -> _LookUp:
        loop = asyncio.get_running_loop()

        def tell(work: Future[list[str]]) -> None:
            if not work.cancelled():
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
                    loop.call_soon_threadsafe(self._answer, key)

        look_up = self._under_way[key] = _LookUp(self._threads.submit(_ask, *key), loop.create_future())
        look_up.work.add_done_callback(tell)
        return look_up

    def _answer(self, key: tuple[str, int]) -> None:
        look_up = self._under_way.pop(key)
        if error := look_up.work.exception():
            look_up.answer.set_exception(error)
            look_up.answer.exception()  # nobody may be waiting for it any more
        else:
            look_up.answer.set_result(look_up.work.result())


def _ask(host: str, port: int) -> list[str]:
    found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
