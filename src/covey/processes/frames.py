"""What processes say to each other, over pipes and sockets: frames.

A frame is two lengths (4 bytes each, big-endian), a JSON object and a body. What a child says is not trusted: a length
beyond the limit is the end of the conversation. Times are written in ISO 8601,
dataclasses as objects.
"""

import asyncio
import json
import struct
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any, BinaryIO

_LENGTHS = struct.Struct(">II")
_MOST_JSON = 64 * 1024**2
_MOST_BODY = 512 * 1024**2

Message = dict[str, Any]

Frame = tuple[Message, bytes]
"""A message and its body."""


def frame(head: Mapping[str, Any], body: bytes = b"") -> bytes:
    """A frame's bytes."""
    encoded = json.dumps(head, default=_plain).encode()
    return _LENGTHS.pack(len(encoded), len(body)) + encoded + body


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    raise TypeError(f"a frame holds no {type(value).__name__}")


def read(stream: BinaryIO) -> Frame:
    """The next frame. Raises EOFError."""
    head, body = _lengths(_exactly(stream, _LENGTHS.size))
    return _object(_exactly(stream, head)), _exactly(stream, body)


async def receive(stream: asyncio.StreamReader) -> Frame:
    """The next frame. Raises EOFError, OSError."""
    head, body = _lengths(await stream.readexactly(_LENGTHS.size))
    return _object(await stream.readexactly(head)), await stream.readexactly(body)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _lengths(start: bytes) -> tuple[int, int]:
    head, body = _LENGTHS.unpack(start)
    if head > _MOST_JSON or body > _MOST_BODY:
        raise EOFError
    return head, body


def _object(encoded: bytes) -> Message:
    try:
        head = json.loads(encoded)
    except ValueError as error:
        raise EOFError from error
    if not isinstance(head, dict):
        raise EOFError
    return head
