"""The one place that makes requests to addresses from outside: it looks a name up once, checks every address it leads
to, and connects to the address that was checked; the same again for every redirect."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urljoin

import httpx2

from covey.fetch.addresses import (
    Address,
    FetchFailed,
    FetchRefused,
    Network,
    Place,
    check_address,
    check_url,
    take_apart,
)
from covey.fetch.answers import Progress, bad_status, failure, name_of, not_found, pieces, written
from covey.fetch.names import Names
from covey.settings import Fetch

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a host and port. Raises socket.gaierror with EAI_NONAME if there are none, any other OSError if
nobody answered."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
CONNECT_SECONDS = 10.0

_TRIED_ADDRESSES = 3


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: its status whatever it is, its headers, and as much of its body as was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that was fetched. `name` is what the server or the address calls it, "" if neither does."""

    size: int
    content_type: str
    name: str


@dataclass(slots=True)
class _Seat:
    """How many connections a host has, and how many wait for one or have one."""

    free: asyncio.Semaphore
    users: int = 0


@dataclass(slots=True)
class _Sent:
    """One request of a chain of redirects."""

    method: str
    place: Place
    headers: Mapping[str, str]
    body: bytes
    per_host: int
    addresses: Sequence[Address] = field(default_factory=tuple)


class Fetcher:
    """Makes requests to addresses from outside. No proxy, no cookies, no password is ever sent along."""

    def __init__(self, settings: Fetch, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None) -> None:
        """`resolve` looks names up (None: as the machine does), `tls` says which certificates are good."""
        self._settings = settings
        self._allow: Sequence[Network] = settings.allow
        self._resolve = resolve or Names().addresses
        self._tls = tls
        self._seats: dict[tuple[str, int, int], _Seat] = {}

    def check(self, url: str) -> None:
        """Whether the URL could be asked, by its text alone. Raises FetchRefused."""
        check_url(url, self._allow)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout: float | None = None,
        redirects: int = 0,
        most: int = 65536,
        per_host: int | None = None,
    ) -> Fetched:
        """The answer to one request, whatever its status, with at most `most` bytes of its body (0: it is not read).

        `timeout` is for everything together, in seconds. Only GET and HEAD follow redirects. `per_host` (None: as in
        the settings) is how many requests that say the same a host is asked at once. Raises FetchRefused, FetchFailed.
        """
        sent = _Sent(method, take_apart(url), headers or {}, body, per_host or self._settings.per_host)
        async with self._within(timeout, sent.place), self._chain(sent, redirects) as (_, response):
            got = bytearray()
            if most:
                async for piece in pieces(sent.place, response):
                    got += piece
                    if len(got) >= most:
                        break
            return Fetched(response.status_code, dict(response.headers), bytes(got[:most]))

    async def download(
        self, url: str, file: Path, most: int | None = None, progress: Progress | None = None
    ) -> Downloaded:
        """Fetch a URL into `file`, of at most `most` bytes; whatever goes wrong, no file is left.

        Raises FetchRefused if the answer is larger or the address may not be asked, FetchFailed for everything else,
        statuses other than 200 included.
        """
        place = take_apart(url)
        limit = self._settings.bytes if most is None else min(most, self._settings.bytes)
        done = False
        try:
            async with (
                self._within(None, place),
                self._chain(_Sent("GET", place, {}, b"", self._settings.per_host), self._settings.redirects) as found,
            ):
                last, response = found
                if response.status_code != 200:
                    raise bad_status(last, response.status_code)
                size = await written(last, response, file, limit, progress)
                done = True
                return Downloaded(size, response.headers.get("content-type", ""), name_of(last, response.headers))
        finally:
            if not done:
                await asyncio.to_thread(file.unlink, missing_ok=True)

    @asynccontextmanager
    async def _within(self, timeout: float | None, place: Place) -> AsyncIterator[None]:
        seconds = self._settings.seconds if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise FetchFailed(f"{place.host} did not answer in full within {seconds:g} seconds") from None

    @asynccontextmanager
    async def _chain(self, sent: _Sent, redirects: int) -> AsyncIterator[tuple[Place, httpx2.Response]]:
        """The first answer that leads nowhere else. It is the caller's until the block ends."""
        for left in range(redirects, -1, -1):
            async with self._requested(sent) as response:
                onward = _onward(sent, response) if redirects else None
                if onward is None:
                    yield sent.place, response
                    return
            if left == 0:
                raise FetchRefused(f"{sent.place.host} leads on more than {redirects} times")
            sent = onward

    @asynccontextmanager
    async def _requested(self, sent: _Sent) -> AsyncIterator[httpx2.Response]:
        place = sent.place
        async with self._seat(place, sent.per_host):
            sent.addresses = await self._addresses(place)
            async with httpx2.AsyncHTTPTransport(verify=self._certificates(), trust_env=False) as transport:
                try:
                    response = await _send(transport, sent)
                    try:
                        yield response
                    finally:
                        await response.aclose()
                except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
                    raise failure(place, error, sent.addresses) from None

    def _certificates(self) -> ssl.SSLContext:
        """Which certificates are good: read once, and only when something is asked."""
        if self._tls is None:
            self._tls = httpx2.create_ssl_context()
        return self._tls

    async def _addresses(self, place: Place) -> list[Address]:
        """What the host leads to, all of it checked."""
        if place.literal is not None:
            found: list[Address] = [place.literal]
        else:
            try:
                found = [ip_address(one.partition("%")[0]) for one in await self._resolve(place.host, place.port)]
            except OSError as error:
                raise not_found(place, error) from None
        if not found:
            raise FetchFailed(f"{place.host} has no address", retryable=False)
        for address in found:
            check_address(address, place.host, self._allow)
        return found

    @asynccontextmanager
    async def _seat(self, place: Place, per_host: int) -> AsyncIterator[None]:
        key = place.host, place.port, per_host
        seat = self._seats.setdefault(key, _Seat(asyncio.Semaphore(per_host)))
        seat.users += 1
        try:
            async with seat.free:
                yield
        finally:
            seat.users -= 1
            if not seat.users:
                del self._seats[key]


async def _send(transport: httpx2.AsyncHTTPTransport, sent: _Sent) -> httpx2.Response:
    """The answer of the first address that takes a connection."""
    place, tried = sent.place, sent.addresses[:_TRIED_ADDRESSES]
    headers = {
        "accept": "*/*",
        "user-agent": "covey",
        **{name.lower(): value for name, value in sent.headers.items()},
        "host": place.header,
        "accept-encoding": "identity",
        "connection": "close",
    }
    extensions = {"sni_hostname": place.host, "timeout": {"connect": CONNECT_SECONDS}}
    for left, address in zip(range(len(tried) - 1, -1, -1), tried, strict=True):
        request = httpx2.Request(
            sent.method, place.at(address), headers=headers, content=sent.body, extensions=extensions
        )
        try:
            return await transport.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            if not left:
                raise
    raise AssertionError("the last address answers or raises")


def _onward(sent: _Sent, response: httpx2.Response) -> _Sent | None:
    """The request that a redirect asks for; None if it is none. What the caller's headers say stays with its origin."""
    location = response.headers.get("location")
    if response.status_code not in REDIRECTS or not location or sent.method not in ("GET", "HEAD"):
        return None
    try:
        place = take_apart(urljoin(sent.place.url, location.strip().replace(" ", "%20")))
    except ValueError:
        raise FetchRefused(f"{sent.place.host} leads to something that is not a URL") from None
    headers = sent.headers if place.origin == sent.place.origin else {}
    return _Sent(sent.method, place, headers, b"", sent.per_host)
