"""The phones' one SIP port: UDP, and calm about INVITEs that come twice."""

import asyncio
import socket
from typing import Any, Final

from aiosipua import SipRequest, SipResponse
from aiosipua.transport import UdpSipTransport

Address = tuple[str, int]

_BUFFER_BYTES: Final = 4 * 1024 * 1024
_REMEMBER_SECONDS: Final = 40.0
"""Longer than any INVITE is sent again (RFC 3261 timer B: 32 s)."""


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, phones: "PhonePort") -> None:
        self._phones = phones

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._phones.take(data, (str(addr[0]), int(addr[1])))


class PhonePort(UdpSipTransport):
    """A UDP port for SIP. An INVITE that comes again gets its last answer again and reaches nobody
    (RFC 3261 section 17.2.1); the library's own agent would take it for another call."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(local_addr=(host, port))
        self._answers: dict[str, tuple[SipResponse, Address] | None] = {}

    async def start(self) -> None:
        """Bind; afterwards `local_addr` has the port."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        sock.bind(self.local_addr)
        sock.setblocking(False)
        self.local_addr = sock.getsockname()[:2]
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Datagrams(self), sock=sock)
        self._udp_transport = transport

    def take(self, data: bytes, addr: Address) -> None:
        """Take one datagram."""
        self._dispatch(data, addr)

    def is_repeated(self, request: SipRequest) -> bool:
        """Whether this INVITE was here before; if it was, its last answer goes out again."""
        call_id = request.call_id or ""
        if call_id not in self._answers:
            self._answers[call_id] = None
            asyncio.get_running_loop().call_later(_REMEMBER_SECONDS, self._answers.pop, call_id, None)
            return False
        if last := self._answers[call_id]:
            super().send(*last)
        return True

    def send(self, message: SipRequest | SipResponse, addr: Address) -> None:
        """Send a message; the last answer to each INVITE is remembered."""
        if isinstance(message, SipResponse) and message.cseq is not None and message.cseq.method == "INVITE":
            call_id = message.call_id or ""
            if call_id in self._answers:
                self._answers[call_id] = (message, addr)
        super().send(message, addr)
