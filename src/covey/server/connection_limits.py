"""What a stranger may take of the server before there is a request: bytes, headers, time, connections, requests."""

import asyncio
import resource
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Protocol

Networks = Sequence[IPv4Network | IPv6Network]


class Connection(Protocol):
    """A connection as it is counted."""

    address: str
    transport: asyncio.Transport


def a_quarter_of_the_files() -> int:
    """A quarter of the files that this process may have open: the database, diallers and decoders need theirs."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**20 if soft == resource.RLIM_INFINITY else max(1, soft // 4)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may take before its request is complete. Bytes, counts and seconds."""

    head_bytes: int = 32 * 1024
    """Of request line and headers; also of what comes between the pieces of a body, as trailers do."""
    headers: int = 100
    head_seconds: float = 15.0
    """From the connection, or the first byte of its next request, to the end of the headers."""
    per_address: int = 64
    """The most connections of an address without a request in progress; trusted proxies have no such limit."""
    total: int = field(default_factory=a_quarter_of_the_files)
    """The same of all addresses together."""
    keyless_requests: int = 100
    """So many requests a second an address may send without a valid key; what comes beyond it is read later. Trusted
    proxies have no such limit."""
    unread_seconds: float = 60.0
    """A client that takes nothing of a finished answer for so long is gone."""


class IdleConnections:
    """The connections that have no request in progress. Where there are too many the one that has waited longest is
    closed: whoever means well sends a request as soon as it is connected."""

    def __init__(self, limits: ConnectionLimits, trusted: Networks, count: Callable[[str], None]) -> None:
        """`trusted` are the proxies. `count` is called with the reason of each refusal."""
        self.limits = limits
        self.count = count
        self.keyless = KeylessRequests(limits.keyless_requests)
        self._trusted = trusted
        self._all: OrderedDict[Connection, None] = OrderedDict()
        self._by_address: dict[str, OrderedDict[Connection, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, connection: Connection) -> None:
        """A connection waits from now on; the one that has waited longest is closed if it is one too many."""
        self.remove(connection)
        self._all[connection] = None
        own = self._by_address.setdefault(connection.address, OrderedDict())
        own[connection] = None
        if len(own) > self.limits.per_address and not self.trusts(connection.address):
            self._close(next(iter(own)))
        elif len(self._all) > self.limits.total:
            self._close(next(iter(self._all)))

    def remove(self, connection: Connection) -> None:
        """A connection has a request, or is gone. One that does not wait is left alone."""
        if connection not in self._all:
            return
        del self._all[connection]
        own = self._by_address[connection.address]
        del own[connection]
        if not own:
            del self._by_address[connection.address]

    def _close(self, connection: Connection) -> None:
        self.remove(connection)
        self.count("too_many_connections")
        connection.transport.abort()

    def trusts(self, address: str) -> bool:
        """Whether it is a proxy, which stands for many clients."""
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._trusted)


class KeylessRequests:
    """A leaky bucket for each address: a stranger's requests take little of the event loop, however fast they come."""

    BURST_SECONDS = 2.0
    """What may come at once, as the time it takes to leak away."""
    LONGEST_WAIT = 1.0
    """Whoever means well may share an address with a stranger."""
    REMEMBERED = 4096
    """At least so many addresses are kept before those whose buckets are empty are forgotten."""

    def __init__(self, per_second: int) -> None:
        self._interval = 1 / per_second
        self._empty_at: dict[str, float] = {}
        self._most = self.REMEMBERED

    def __len__(self) -> int:
        return len(self._empty_at)

    def wait(self, address: str, now: float) -> float:
        """Count a request of an address: how many seconds it has to wait. `now` by the event loop's clock."""
        if len(self._empty_at) > self._most:
            self._empty_at = {each: at for each, at in self._empty_at.items() if at > now}
            # Or many busy addresses would have all of them looked through at every request.
            self._most = max(self.REMEMBERED, 2 * len(self._empty_at))
        empty_at = max(self._empty_at.get(address, now), now) + self._interval
        self._empty_at[address] = min(empty_at, now + self.BURST_SECONDS + self.LONGEST_WAIT)
        return max(0.0, self._empty_at[address] - now - self.BURST_SECONDS)

    def forget(self, address: str) -> None:
        """A request that was counted had a valid key after all."""
        if address in self._empty_at:
            self._empty_at[address] -= self._interval
