"""Does a trunk's far side answer at all? Asked apart from any call: a dead UDP port takes 32 s to fail one."""

import asyncio
import secrets
from typing import Any, Final

from covey.calls.trunks.settings import SipSettings, bracketed

PING_SECONDS: Final = 2.0


async def ping(settings: SipSettings) -> str | None:
    """None if the far side answers; else a sentence saying what is wrong.

    Over UDP it is asked for its OPTIONS (RFC 3261 section 11), and any answer will do; over TCP and TLS it is
    enough that it takes the connection.
    """
    where = f"{settings.host}:{settings.port}"
    try:
        async with asyncio.timeout(PING_SECONDS):
            if settings.transport == "udp":
                await _options(settings)
            else:
                _, writer = await asyncio.open_connection(settings.host, settings.port)
                writer.close()
    except TimeoutError:
        return f"The trunk at {where} did not answer within {PING_SECONDS:g} seconds"
    except OSError as error:
        return f"The trunk at {where} cannot be reached: {error.strerror or error}"
    return None


class _Question(asyncio.DatagramProtocol):
    def __init__(self, answered: asyncio.Future[None]) -> None:
        self._answered = answered

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if data.startswith(b"SIP/2.0 ") and not self._answered.done():
            self._answered.set_result(None)

    def error_received(self, exc: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc)


async def _options(settings: SipSettings) -> None:
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[None] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Question(answered), remote_addr=(settings.host, settings.port)
    )
    try:
        transport.sendto(_request(settings, *transport.get_extra_info("sockname")[:2]))
        await answered
    finally:
        transport.close()


def _request(settings: SipSettings, host: str, port: int) -> bytes:
    here, there = f"{bracketed(host)}:{port}", f"{bracketed(settings.host)}:{settings.port}"
    lines = (
        f"OPTIONS sip:{there} SIP/2.0",
        f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{secrets.token_hex(8)};rport",
        "Max-Forwards: 70",
        f"From: <sip:{settings.user}@{here}>;tag={secrets.token_hex(4)}",
        f"To: <sip:{there}>",
        f"Call-ID: {secrets.token_hex(12)}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:{settings.user}@{here}>",
        "Accept: application/sdp",
        "Content-Length: 0",
        "",
        "",
    )
    return "\r\n".join(lines).encode()
