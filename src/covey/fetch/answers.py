"""What is taken of an answer from outside: how much, in which form, under which name; and the sentence if it is not."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2

from covey.fetch.addresses import FetchFailed, FetchRefused, Place

Progress = Callable[[int, int | None], None]
"""Is told how many bytes are there, of how many if that is known."""

_WRITTEN_AT_ONCE = 1024 * 1024
_AGAIN = frozenset({408, 421, 425, 429})
_FILE_NAME = re.compile(r'filename="?([^";]+)"?', re.IGNORECASE)
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f/\\]")


async def pieces(place: Place, response: httpx2.Response) -> AsyncIterator[bytes]:
    """The body as it was sent. A packed one is not taken: nobody knows how large it becomes."""
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise FetchRefused(f"{place.host} answered in a packed form that it was not asked for")
    async for piece in response.aiter_raw():
        yield piece


async def written(place: Place, response: httpx2.Response, file: Path, limit: int, progress: Progress | None) -> int:
    """Write the body to `file`; how many bytes it has. Raises FetchRefused if it is larger than `limit`."""
    too_large = FetchRefused(f"{place.host} answered with more than {limit:,} bytes")
    said = response.headers.get("content-length", "")
    total = int(said) if said.isascii() and said.isdigit() else None
    if total is not None and total > limit:
        raise too_large
    size, held = 0, bytearray()
    with await asyncio.to_thread(file.open, "wb") as out:
        async for piece in pieces(place, response):
            size += len(piece)
            if size > limit:
                raise too_large
            held += piece
            if len(held) >= _WRITTEN_AT_ONCE:
                await asyncio.to_thread(out.write, bytes(held))
                held.clear()
            if progress is not None:
                progress(size, total)
        await asyncio.to_thread(out.write, bytes(held))
    return size


def name_of(place: Place, headers: Mapping[str, str]) -> str:
    """What the server or the address calls the file, "" if neither does."""
    said = _FILE_NAME.search(headers.get("content-disposition", ""))
    name = said[1] if said else unquote(urlsplit(place.target).path.rpartition("/")[2])
    return _NOT_IN_NAMES.sub("", name).strip(". ")[:255]


def bad_status(place: Place, status: int) -> FetchFailed:
    """What is raised for a status that brings no file."""
    return FetchFailed(f"{place.host} answered {status}", retryable=status >= 500 or status in _AGAIN)


def reason(place: Place, error: Exception) -> str:
    """Why there was no answer. The library's own text may hold the whole address, so it is never passed on."""
    match error:
        case httpx2.ConnectTimeout():
            return f"{place.host} did not take the connection in time"
        case httpx2.ConnectError() if "certificate" in str(error).lower():
            return f"{place.host} has no certificate for this name that this server trusts"
        case httpx2.ConnectError():
            return f"{place.host} did not take the connection"
        case _:
            return f"The connection to {place.host} broke before the answer was complete"
