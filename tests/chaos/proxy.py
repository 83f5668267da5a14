"""A TCP proxy between processes and their database that can be told to misbehave, each listening port by itself.

It runs in a thread with a loop of its own, so that it goes on whatever the test does. All methods may be called from
any thread, and return once what they ask for holds.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, TypeVar

T = TypeVar("T")

CHUNK = 64 * 1024
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket whose closing is a RST."""


class Mode(StrEnum):
    """What a link does: `pass` everything on; `half_open`: take connections and what is sent on them, pass nothing
    on, close nothing; `refuse` new connections, whatever is open goes on."""

    passing = "pass"
    half_open = "half_open"
    refuse = "refuse"


@dataclass(slots=True, eq=False)
class _Pair:
    """One connection: the side that came in, and the side that goes out once it may."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter | None = None

    def reset(self) -> None:
        """End both sides with a RST."""
        for side in (self.near, self.far):
            if side is None:
                continue
            raw = side.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            side.transport.abort()


@dataclass(slots=True, eq=False)
class _Link:
    """One listening port."""

    server: asyncio.Server
    port: int
    mode: Mode = Mode.passing
    delay: float = 0.0
    jitter: float = 0.0
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    pairs: set[_Pair] = field(default_factory=set)


class Proxy:
    """Links by name, all to one address. Use as a context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._links: dict[str, _Link] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def link(self, name: str) -> int:
        """Listen under this name; the port on 127.0.0.1."""
        return self._do(self._listen(name))

    def port(self, name: str) -> int:
        """The port of a link."""
        return self._links[name].port

    def mode(self, name: str, mode: Mode) -> None:
        """Let a link pass, hang or refuse from now on. What hung goes on where it was once it may pass again."""
        self._do(self._set_mode(self._links[name], mode))

    def delay(self, name: str, seconds: float, jitter: float = 0.0) -> None:
        """Hold everything that passes for `seconds`, more by up to `jitter`; 0 ends it."""
        link = self._links[name]
        link.delay, link.jitter = seconds, jitter

    def cut(self, name: str) -> int:
        """End every open connection of a link with a RST, on both sides; how many. New ones are taken."""
        return self._do(self._cut(self._links[name]))

    def open_connections(self, name: str) -> int:
        """How many connections of a link are open."""
        return len(self._links[name].pairs)

    def heal(self, name: str) -> None:
        """Make a link behave again."""
        self.delay(name, 0.0)
        self.mode(name, Mode.passing)

    def _do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _listen(self, name: str) -> int:
        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(self._links[name], reader, writer)

        server = await asyncio.start_server(accepted, "127.0.0.1", 0, limit=CHUNK)
        link = self._links[name] = _Link(server, server.sockets[0].getsockname()[1])
        link.flowing.set()
        return link.port

    async def _set_mode(self, link: _Link, mode: Mode) -> None:
        link.mode = mode
        (link.flowing.clear if mode is Mode.half_open else link.flowing.set)()

    async def _cut(self, link: _Link) -> int:
        cut = list(link.pairs)
        for pair in cut:
            pair.reset()
        link.pairs.clear()
        return len(cut)

    async def _close(self) -> None:
        for link in self._links.values():
            link.server.close()
            await self._cut(link)
            link.flowing.set()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*left, return_exceptions=True)

    async def _serve(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = _Pair(writer)
        if link.mode is Mode.refuse:
            pair.reset()
            return
        link.pairs.add(pair)
        try:
            await link.flowing.wait()
            if pair not in link.pairs:
                return
            answers, pair.far = await asyncio.open_connection(*self._target, limit=CHUNK)
            ways = ((reader, pair.far), (answers, pair.near))
            pumps = [asyncio.create_task(self._pump(link, source, target)) for source, target in ways]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            await link.flowing.wait()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pair.reset()
        finally:
            link.pairs.discard(pair)
            for side in (pair.near, pair.far):
                if side is not None:
                    side.close()

    async def _pump(self, link: _Link, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Carry one way until its source ends. Its end is no error of the proxy's."""
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                if link.delay or link.jitter:
                    await asyncio.sleep(link.delay + random.uniform(0, link.jitter))
                await link.flowing.wait()
                target.write(data)
                await target.drain()
