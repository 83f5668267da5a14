"""Connections to the HTTP server: uvicorn's protocol, and the limits that it and its parser lack.

A stranger costs a connection nothing but its bytes, so what has not become a request yet is bounded in bytes, headers,
time and number. A request in progress, a stream too, is bounded where its route is known (`covey.api.middleware`).
"""

import asyncio
import http
from collections.abc import Callable
from functools import partial
from ipaddress import IPv6Address, ip_address
from typing import Any, cast

import httptools
import orjson
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from covey.server.connection_limits import ConnectionLimits, IdleConnections, Networks

PIECE = 16 * 1024
"""So much of a body is parsed before others have their turn: every chunk in it is work, and may be one byte long."""

REFUSED_BYTES = 1024 * 1024
ANSWERED_BYTES = 32 * 1024 * 1024
"""So much of what still comes after a refused head, or after an answer that did not wait for its body, is thrown away
unread: to close on bytes that were not read tears the connection, and a client that is still sending would never see
the answer."""

DISCARD_PAUSE = 0.01
"""Seconds between two reads of it: a sender on this machine fills a socket as fast as it is emptied."""

REFUSED_SECONDS = 2.0
"""For so long it is thrown away after a refused head; after an answer the door decides."""


class HeadRefused(Exception):
    """What came is not going to be a request; raised within the parser's callbacks."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ParserFlow(FlowControl):
    """Whether the parser may go on: uvicorn would stop the socket instead, after it parsed all that it had read."""

    def __init__(self, transport: asyncio.Transport, go_on: Callable[[], None]) -> None:
        super().__init__(transport)
        self._go_on = go_on
        self.whole = False
        """The request in progress has come whole: what follows waits for its answer, whatever its handler asks for."""

    def pause_reading(self) -> None:
        self.read_paused = True

    def resume_reading(self) -> None:
        if self.read_paused and not self.whole:
            self.read_paused = False
            self._go_on()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with limits. A body is not parsed until the application asks for it, or
    has answered; the next request not until it has answered."""

    def __init__(self, *args: Any, idle: IdleConnections, **named: Any) -> None:
        super().__init__(*args, **named)
        self._idle = idle
        self._limits = idle.limits
        self.address = ""
        self.url = b""
        self.headers = []
        self._unparsed = b""
        self._begun = False
        """Whether the parser has seen the beginning of a request line."""
        self._head_tail = b""
        self._is_trusted = False
        """Whether a proxy is at the other end, which stands for many clients."""
        self._keyless = True
        """Whether the last request had no valid key: then the next waits for its turn among those of its address."""
        self._counted = False
        """Whether the request that comes or is in progress was counted among those."""
        self._socket_paused = False
        self._parsing: asyncio.Handle | None = None
        self._in_head = True
        self._body_left: int | None = None
        """How much of a body is still to come; None where only the parser finds its end."""
        self._unproductive = 0
        """Bytes since the last headers that were complete, or the last byte of a body."""
        self._head_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._discards: int | None = None
        """Not None: what comes is thrown away, at most so many more bytes."""

    @property
    def _in_progress(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            self.client = (_plain(self.client[0]), self.client[1])
            self.address = self.client[0]
        self._is_trusted = self._idle.trusts(self.address)
        self._keyless = not self._is_trusted
        self.flow = self._parser_flow = ParserFlow(transport, self._parse_soon)
        self._start_head_timer()
        self._idle.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._idle.remove(self)
        self._stop_head_timer()
        for timer in (self._end_timer, self._pause, self._parsing):
            if timer is not None:
                timer.cancel()
        self._unparsed = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it, or as much of it as may be now; the socket waits for the rest."""
        if self._discards is not None:
            self._discards -= len(data)
            if self._discards < 0:
                self.transport.abort()
            else:
                self.transport.pause_reading()
                self._pause = self.loop.call_later(DISCARD_PAUSE, self._read_on)
            return
        self._unparsed += data
        if self._parsing is None and not self.flow.read_paused:
            self._parse()
        self._balance()

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _parse_soon(self) -> None:
        if self._unparsed and self._parsing is None:
            self._parsing = self.loop.call_soon(self._parse_and_balance)

    def _parse_and_balance(self) -> None:
        self._parsing = None
        self._parse()
        self._balance()

    def _balance(self) -> None:
        """Read from the socket while the parser keeps up."""
        paused = len(self._unparsed) > PIECE and self._discards is None
        if paused != self._socket_paused and not self.transport.is_closing():
            self._socket_paused = paused
            (self.transport.pause_reading if paused else self.transport.resume_reading)()

    def _parse(self) -> None:
        """Parse one piece; before the next, others have their turn."""
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        if not self._in_progress:
            self._start_head_timer()
        self._skip_empty_lines()
        if self._waits_for_its_turn():
            return
        data, self._unparsed = self._unparsed[: (size := self._piece())], self._unparsed[size:]
        self._feed(data)
        if not self.flow.read_paused:
            self._parse_soon()

    def _waits_for_its_turn(self) -> bool:
        """Whether the request that begins here has to wait; what has come of it stays unparsed."""
        begins = self._in_head and not self._begun and self._unparsed
        if not begins or self._counted or not self._keyless:
            return False
        self._counted = True
        wait = self._idle.keyless.wait(self.address, self.loop.time())
        if wait:
            self._parsing = self.loop.call_later(wait, self._parse_and_balance)
        return wait > 0

    def _skip_empty_lines(self) -> None:
        """They may stand before a request (RFC 9112, 2.2)."""
        if not self._begun:
            size = len(self._unparsed)
            self._unparsed = self._unparsed.lstrip(b"\r\n")
            self._unproductive += size - len(self._unparsed)

    def _piece(self) -> int:
        """How much of what is there the parser gets next: never more than may still come without an end, and nothing
        beyond the end of a head or a body, as far as that is known."""
        left = max(0, self._limits.head_bytes + 1 - self._unproductive)
        if not self._in_head:
            return min(PIECE, left) if self._body_left is None else min(PIECE, left, self._body_left)
        end = (self._head_tail + self._unparsed[:left]).find(b"\r\n\r\n")
        return left if end < 0 else end + 4 - len(self._head_tail)

    def _feed(self, data: bytes) -> None:
        self._head_tail = (self._head_tail + data)[-3:]
        self._unproductive += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # Nothing here can be upgraded to; the request was answered as it is.
        except httptools.HttpParserError as error:
            refusal = error.__context__
            if not isinstance(refusal, HeadRefused):
                refusal = HeadRefused(400, "bad_request", "This is not a valid HTTP request")
            if self._parser_flow.whole:
                self._end_with_this_answer()
            else:
                self._refuse(refusal)
        else:
            if self._unproductive > self._limits.head_bytes:
                self._refuse(self._too_large())

    def _too_large(self) -> HeadRefused:
        most = f"{self._limits.head_bytes:,} bytes that request line and headers may have together"
        if len(self.url) > self._limits.head_bytes // 2:
            return HeadRefused(414, "url_too_long", f"The URL takes most of the {most}; shorten it")
        return HeadRefused(431, "headers_too_large", f"The request has more than the {most}")

    # What the parser finds

    def on_message_begin(self) -> None:
        if self._in_progress:
            raise HeadRefused(400, "pipelined", "The request before this one has no answer yet")
        self._begun = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers are dropped: nothing here knows any (RFC 9110, 6.5.1)."""
        if not self._in_head:
            return
        if len(self.headers) >= self._limits.headers:
            raise HeadRefused(431, "too_many_headers", f"The request has more than {self._limits.headers} headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._unproductive = 0
        self._stop_head_timer()
        headers = dict(self.headers)
        self._body_left = int(headers[b"content-length"]) if b"content-length" in headers else None
        if self.parser.should_upgrade() and (self._body_left or b"transfer-encoding" in headers):
            raise HeadRefused(400, "no_upgrade", "Nothing here can be upgraded to; send the body without Upgrade")
        super().on_headers_complete()
        self.flow.pause_reading()

    def on_body(self, body: bytes) -> None:
        self._unproductive = 0
        if self._body_left is not None:
            self._body_left -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._begun = False
        self._head_tail = b""
        self._unproductive = 0
        super().on_message_complete()
        if self._in_progress:
            self._parser_flow.whole = True
            self.flow.pause_reading()

    # Requests

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._idle.remove(self)
        super()._start_asgi_task(cycle, cast("ASGI3Application", partial(self._run, cycle, app)))

    async def _run(
        self,
        cycle: RequestResponseCycle,
        app: ASGI3Application,
        scope: Scope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        async def observed(message: ASGISendEvent) -> None:
            await send(message)
            if message["type"] == "http.response.start" and cycle.more_body:
                self._answered_early(cycle)

        await app(scope, receive, observed)

    def _answered_early(self, cycle: RequestResponseCycle) -> None:
        """The answer did not wait for the request's body: nobody is going to read that. A connection that closes then
        needs no parser any more, for which many small chunks are a lot of work."""
        self._idle.add(self)
        if not cycle.keep_alive:
            self._discard(ANSWERED_BYTES)

    def on_response_complete(self) -> None:
        has_key = "caller" in self.cycle.scope["state"]
        if has_key and self._counted:
            self._idle.keyless.forget(self.address)
        self._counted = False
        self._keyless = not has_key and not self._is_trusted
        self._parser_flow.whole = False
        super().on_response_complete()
        self._idle.add(self)
        if self.transport.get_write_buffer_size():
            self._watch_reader(None)

    # Ends

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._limits.head_seconds, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._unproductive:
            seconds = f"{self._limits.head_seconds:g} s"
            self._refuse(HeadRefused(408, "request_timeout", f"The request was not complete after {seconds}"))
        else:
            self._idle.count("silent")
            self.transport.close()

    def _refuse(self, refusal: HeadRefused) -> None:
        """Answer and close; where a body has gone wrong whose answer has begun, there is only closing."""
        self._idle.count(refusal.code)
        self._unset_keepalive_if_required()
        self._stop_head_timer()
        if self._in_progress:
            if not self.cycle.response_started:
                self.transport.write(_answer(refusal, self.server_state.default_headers))
            self.transport.close()
            return
        self.transport.write(_answer(refusal, self.server_state.default_headers))
        self.transport.write_eof()
        self._discard(REFUSED_BYTES)
        self._end_timer = self.loop.call_later(REFUSED_SECONDS, self.transport.abort)

    def _end_with_this_answer(self) -> None:
        """What came in one piece with the end of a body in chunks cannot be kept for later: the client has to send it
        again, on a new connection (RFC 9112, 9.3.2)."""
        self.cycle.keep_alive = False
        self._discard(ANSWERED_BYTES)

    def _discard(self, most: int) -> None:
        """Throw away what still comes, up to so many bytes."""
        self._discards = most
        self._unparsed = b""
        self._balance()

    def _watch_reader(self, left_before: int | None) -> None:
        """End the connection of a client that has stopped reading: its answer would be kept for ever."""
        left = self.transport.get_write_buffer_size()
        if left and left_before is not None and left >= left_before:
            self._idle.count("unread")
            self.transport.abort()
        elif left and not self._in_progress:
            self._end_timer = self.loop.call_later(self._limits.unread_seconds, self._watch_reader, left)


def http_protocol(
    limits: ConnectionLimits, trusted: Networks = (), count: Callable[[str], None] = lambda why: None
) -> type[asyncio.Protocol]:
    """What uvicorn makes the protocol of each connection with, as its setting `http`."""
    return cast("type[asyncio.Protocol]", partial(HttpProtocol, idle=IdleConnections(limits, trusted, count)))


def _answer(refusal: HeadRefused, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    body = orjson.dumps({"error": refusal.code, "message": str(refusal)})
    headers = [
        *default_headers,
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    status = http.HTTPStatus(refusal.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), *(b": ".join(pair) for pair in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _plain(address: str) -> str:
    """An address as it is compared: a socket that hears both kinds of IP names an IPv4 peer as ::ffff:192.0.2.1."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return str(mapped or ip)
