"""How a decoder's process is spoken to: frames over its stdin and stdout.

A frame is two lengths (4 bytes each, big-endian), a JSON object and a body. What the child says is not trusted: a
length beyond the limit is the end of the conversation.
"""

import asyncio
import json
import struct
from typing import Any, BinaryIO

_LENGTHS = struct.Struct(">II")
_MOST_JSON = 64 * 1024**2
_MOST_BODY = 512 * 1024**2

Told = tuple[dict[str, Any], bytes]


def frame(head: dict[str, Any], body: bytes = b"") -> bytes:
    """A frame's bytes."""
    encoded = json.dumps(head).encode()
    return _LENGTHS.pack(len(encoded), len(body)) + encoded + body


def read(stream: BinaryIO) -> Told:
    """The next frame. Raises EOFError."""
    head, body = _lengths(_exactly(stream, _LENGTHS.size))
    return _object(_exactly(stream, head)), _exactly(stream, body)


async def receive(stream: asyncio.StreamReader) -> Told:
    """The next frame. Raises EOFError."""
    head, body = _lengths(await stream.readexactly(_LENGTHS.size))
    return _object(await stream.readexactly(head)), await stream.readexactly(body)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    got = stream.read(size)
    if len(got) < size:
        raise EOFError
    return got


def _lengths(start: bytes) -> tuple[int, int]:
    head, body = _LENGTHS.unpack(start)
    if head > _MOST_JSON or body > _MOST_BODY:
        raise EOFError
    return head, body


def _object(encoded: bytes) -> dict[str, Any]:
    told = json.loads(encoded)
    if not isinstance(told, dict):
        raise EOFError
    return told
