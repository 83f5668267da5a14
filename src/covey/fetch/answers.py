"""What is taken of an answer from outside: how much, in which form, under which name; and the sentence if it is not."""

import asyncio
import errno
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2

from covey.fetch.addresses import Address, FetchFailed, FetchRefused, NetworkLost, Place

Progress = Callable[[int, int | None], None]
"""Is told how many bytes are there, of how many if that is known."""

_WRITTEN_AT_ONCE = 1024 * 1024
_AGAIN = frozenset({408, 421, 425, 429})
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, socket.EAI_NODATA})
"""A name server was asked, and knows of no address. Every other fault of a look-up is that none gave an answer."""

_NO_WAY_OUT = frozenset(
    {
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EHOSTUNREACH,
        errno.EADDRNOTAVAIL,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
    }
)
"""What this machine's own kernel says before a packet reached the other side. A dead gateway is EHOSTUNREACH."""

_ANYWHERE = ("192.0.2.1", 9)
"""An address of nobody (RFC 5737), to ask the kernel whether a way leads out."""

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


def not_found(place: Place, error: OSError) -> FetchFailed:
    """What is raised where a look-up gave no address: the name is bad, or nobody answered who knows."""
    if isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME:
        return FetchFailed(f"{place.host} is not known to the name server", retryable=False)
    return NetworkLost(f"No name server answered what the address of {place.host} is")


def failure(place: Place, error: Exception, tried: Sequence[Address]) -> FetchFailed:
    """What is raised where there was no answer of the addresses that were `tried`. The library's own text may hold the
    whole address, so it is never passed on."""
    match error:
        case httpx2.ConnectTimeout():
            return FetchFailed(f"{place.host} did not take the connection in time")
        case httpx2.ConnectError() if "certificate" in str(error).lower():
            said = f"{place.host} has no certificate for this name that this server trusts"
            return FetchFailed(said, retryable=False)
        case httpx2.ConnectError() if _no_way_out(error) and not _another_world(tried):
            return NetworkLost(f"This server found no way to {place.host}")
        case httpx2.ConnectError():
            return FetchFailed(f"{place.host} did not take the connection")
        case _:
            return FetchFailed(f"The connection to {place.host} broke before the answer was complete")


def _no_way_out(error: BaseException) -> bool:
    """Whether the kernel's own words lie under the library's."""
    under: BaseException | None = error
    while under is not None:
        if isinstance(under, OSError) and under.errno in _NO_WAY_OUT:
            return True
        under = under.__cause__ or under.__context__
    return False


def _another_world(tried: Sequence[Address]) -> bool:
    """Whether the host has IPv6 alone, and this machine IPv4 alone: that is no lost network. No packet is sent."""
    if any(address.version == 4 for address in tried):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(_ANYWHERE) == 0
