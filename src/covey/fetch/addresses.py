"""Which addresses may be asked : http and https, on the public internet.

A URL is taken apart once, here. What goes out is built from these parts, so nobody can read the same text in two ways.
"""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST = 2000
"""The most characters a URL may have."""

PORTS = {"http": 80, "https": 443}

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\\]")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_UNICAST6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_NOT_GLOBAL = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)
"""Ranges that lead to other networks or to none, which not every Python version knows."""


class FetchError(Exception):
    """A request to an address from outside did not work. The text is a sentence that may be shown: it names the host,
    never the path, the query or a secret."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class FetchRefused(FetchError):
    """The address may not be asked, or its answer is more than may be taken."""


class FetchFailed(FetchError):
    """The address may be asked, but there was no good answer. `retryable`: another time there may be."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class NetworkLost(FetchFailed):
    """No name server answered, or no way leads there from this server: its own network may be gone. Whether the address
    is good nobody knows."""


@dataclass(frozen=True, slots=True)
class Place:
    """A URL, taken apart. `host` is a lower-case ASCII name without a final dot, or an IP address as it is usually
    written; `literal` is that address. `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str
    literal: Address | None

    @property
    def origin(self) -> str:
        """Scheme, host and port as a URL has them."""
        return f"{self.scheme}://{self.header}"

    @property
    def header(self) -> str:
        """As the header `Host` has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return self.origin + self.target

    def at(self, address: Address) -> str:
        """The URL with the address in the place of the name."""
        host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
        return f"{self.scheme}://{host}:{self.port}{self.target}"


def check_url(url: str, allow: Sequence[Network] = ()) -> None:
    """Whether the URL could be asked, by its text alone. Raises FetchRefused with what is wrong.

    Names are not looked up: what they lead to is checked whenever they are asked.
    """
    place = take_apart(url)
    named = place.host == "localhost" or place.host.endswith(".localhost")
    literal = ip_address("127.0.0.1") if named else place.literal
    if literal is not None:
        check_address(literal, place.host, allow)


def take_apart(url: str) -> Place:
    """The URL's parts. Raises FetchRefused for everything but a plain http or https URL."""
    if len(url) > LONGEST:
        raise FetchRefused(f"The address is longer than {LONGEST:,} characters")
    if _UNPRINTABLE.search(url):
        raise FetchRefused("The address has a blank, a backslash or a control character in it; write it as %XX")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise FetchRefused("The address is not a URL like https://example.com/path") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise FetchRefused("The address is not an http or https URL like https://example.com/path")
    if "@" in parts.netloc:
        raise FetchRefused("The address has a user name or a password in it, which is not taken")
    if port == 0:
        raise FetchRefused("The address has port 0, which nobody listens on")
    host, literal = _host(parts)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, host, port or PORTS[parts.scheme], target, literal)


def _host(parts: SplitResult) -> tuple[str, Address | None]:
    given = parts.hostname or ""
    bad = FetchRefused("The address has no proper host name")
    if "[" in parts.netloc:
        try:
            literal: Address = IPv6Address(given)
        except ValueError:
            raise bad from None
        if "%" in given:
            raise FetchRefused("The address names a network card (%…), which is not taken")
        return str(literal), literal
    try:
        name = given.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise bad from None
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise bad
    if not _NUMBER.fullmatch(name.rpartition(".")[2]):
        return name, None
    try:
        number = IPv4Address(socket.inet_aton(name))
    except OSError:
        raise bad from None
    return str(number), number


def check_address(address: Address, host: str, allow: Sequence[Network] = ()) -> None:
    """Raises FetchRefused if `address`, which `host` leads to, is neither on the public internet nor allowed."""
    inner = _inner(address)
    if any(inner in network for network in allow if network.version == inner.version):
        return
    if not _is_public(inner):
        raise FetchRefused(
            f"{host} leads to an address that is not on the public internet; "
            "who runs the server can allow networks by the setting fetch.allow"
        )


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where packets would go there."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _UNICAST6:
        return False
    if any(address in network for network in _NOT_GLOBAL if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
