"""What a trunk and its diallers say to each other, and how it crosses the socket between them.

A frame is two lengths (four bytes each, network order), a JSON object and a tail of raw bytes (sound).

    trunk to dialler    setup · place · withdraw · hang_up · recognized · shut_down
    dialler to trunk    ready · beat · dialling · ringing · answered · turn · understand · report
"""

import asyncio
import socket
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from covey.calls.call import (
    Ask,
    CallEnd,
    CallOrder,
    CallReport,
    Licence,
    Line,
    Media,
    Script,
    Speaker,
    Turn,
    VoicemailPolicy,
)

Message = dict[str, Any]

_LENGTHS: Final = struct.Struct("!II")


class Channel:
    """One end of the stream between a trunk and a dialler."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        writer.transport.set_write_buffer_limits(high=0)

    @classmethod
    async def over(cls, sock: socket.socket) -> "Channel":
        """The channel over a connected unix stream socket, which it owns from now on."""
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def send(self, message: Mapping[str, Any], tail: bytes = b"") -> None:
        """Send a message. What the kernel has room for is in its hands when this returns."""
        head = orjson.dumps(message)
        if self._writer.is_closing():
            return
        self._writer.write(_LENGTHS.pack(len(head), len(tail)) + head + tail)

    async def flush(self) -> None:
        """Wait until the kernel has everything that was sent. Raises OSError if the other end is gone."""
        await self._writer.drain()

    async def receive(self) -> tuple[Message, bytes] | None:
        """The next message and its tail; None when the other end is gone."""
        try:
            head, tail = _LENGTHS.unpack(await self._reader.readexactly(_LENGTHS.size))
            message: Message = orjson.loads(await self._reader.readexactly(head))
            return message, await self._reader.readexactly(tail)
        except (asyncio.IncompleteReadError, OSError):
            return None

    def close(self) -> None:
        self._writer.close()


def read_order(data: Message) -> CallOrder:
    """The call order that was sent as `data`."""
    return CallOrder(**{**data, "script": _read_script(data["script"]), "licence": Licence(**data["licence"])})


def _read_script(data: Message) -> Script:
    message = data["voicemail_message"]
    return Script(
        opening=tuple(Line(**line) for line in data["opening"]),
        asks=tuple(_read_ask(ask) for ask in data["asks"]),
        goodbye=Line(**data["goodbye"]),
        voicemail=VoicemailPolicy(data["voicemail"]),
        voicemail_message=Line(**message) if message else None,
        detect_machine=data["detect_machine"],
    )


def _read_ask(data: Message) -> Ask:
    lines = {key: Line(**data[key]) for key in ("question", "again", "confirm_yes", "confirm_no")}
    return Ask(**{**data, **lines})


def read_report(data: Message) -> CallReport:
    """The call report that was sent as `data`."""
    return CallReport(
        **{
            **data,
            "end": CallEnd(data["end"]),
            "ended_at": datetime.fromisoformat(data["ended_at"]),
            "dialled_at": _read_time(data["dialled_at"]),
            "answered_at": _read_time(data["answered_at"]),
            "turns": tuple(read_turn(turn) for turn in data["turns"]),
            "media": Media(**data["media"]),
        }
    )


def read_turn(data: Message) -> Turn:
    """The turn that was sent as `data`."""
    return Turn(**{**data, "speaker": Speaker(data["speaker"])})


def _read_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
