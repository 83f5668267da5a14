"""A stream of frames in both directions, over a connected unix socket."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

from covey.processes.frames import Frame, frame, receive


class Channel:
    """One end of the stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        writer.transport.set_write_buffer_limits(high=0)

    @classmethod
    async def over(cls, sock: socket.socket) -> "Channel":
        """The channel over a connected unix stream socket, which it owns from now on."""
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def send(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        """Send a message. What the kernel has room for is in its hands when this returns."""
        if not self._writer.is_closing():
            self._writer.write(frame(head, body))

    async def flush(self) -> None:
        """Wait until the kernel has everything that was sent. Raises OSError if the other end is gone."""
        await self._writer.drain()

    async def receive(self) -> Frame | None:
        """The next message and its body; None when the other end is gone."""
        try:
            return await receive(self._reader)
        except (EOFError, OSError):
            return None

    def close(self) -> None:
        self._writer.close()
