"""The door: every request passes it before the framework. It knows a route by all its names, gives request ids, asks
the gate, counts and times the body as it streams, bounds the time until an answer, and makes an answer of what nobody
expected.

Pure ASGI, because the framework's form parsing takes a whole upload before any dependency of a route runs.
"""

import asyncio
import contextlib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from covey.api.kit.auth import PUBLIC, Authenticator, Refusal
from covey.api.kit.dialect import Allowance, Dialect, Dialects
from covey.api.kit.errors import INTERNAL, RETRY_AFTER, BodyTooLarge, BodyTooSlow
from covey.api.kit.services import Services
from covey.disk import NoRoom
from covey.domain.errors import CoveyError
from covey.logging import bound
from covey.settings import Limits

logger = structlog.get_logger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_ID = re.compile(r"(batch_|call_)?[0-9a-f]{24}")
_DRAINED = 64 * 1024
"""A refused body of at most this size is let run out, so that the connection stays; a larger one closes it."""
_NO_NUL = "\ufffd"
"""In place of a NUL in a path, which no database keeps: what is named there is then just not there."""

_LINGERS, _LINGERS_BYTES = 2.0, 32 * 1024 * 1024
"""For so many seconds and bytes what still comes of a refused body is thrown away before its connection closes: who
closes on bytes that were not read tears the connection, and a client that is still sending never sees the answer."""


_DEFAULTS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Answers are one caller's, are what they say they are, and no page: nobody keeps, guesses at or frames them."""


class RequestGuard:
    """The ASGI application in front of the framework's."""

    def __init__(self, app: ASGIApp, dialects: Dialects, gate: Authenticator, services: Services) -> None:
        self._app = app
        self._dialects = dialects
        self._gate = gate
        self._services = services
        self._limits = services.settings.limits
        self._metrics = services.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = self._dialects.documented_path(scope["path"].replace("\0", _NO_NUL))
        scope, dialect = {**scope, "path": path}, self._dialects.of(path)
        headers = dict(reversed(scope["headers"]))
        given = headers.get(b"x-request-id", b"")
        ident = given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(12)
        exchange = _Exchange(ident, dialect, path, receive, send)
        scope.setdefault("state", {}).update(request_id=ident, services=self._services, dialect=dialect)
        began = asyncio.get_running_loop().time()
        with bound(request=ident):
            await self._handle(scope, dialect, headers, receive, exchange)
            if exchange.status == NoRoom.status:
                self._services.file_room.full = True
            self._measure(scope, exchange.status, asyncio.get_running_loop().time() - began)

    async def _handle(
        self, scope: Scope, dialect: Dialect, headers: Mapping[bytes, bytes], receive: Receive, exchange: "_Exchange"
    ) -> None:
        try:
            allowed = dialect.allowance(self._services.settings, scope["method"], scope["path"])
            refusal = await self._refusal(scope, dialect, headers, allowed)
            if refusal is not None:
                self._metrics.refused.labels(refusal.why).inc()
                await exchange.refuse(refusal, _closes(headers))
                return
            body = _Body(receive, self._limits, allowed)
            exchange.close_if = lambda: _closes(headers) and not body.complete
            async with asyncio.timeout(allowed.body_seconds + allowed.answer_seconds) as exchange.deadline:
                await self._app(scope, body.receive, exchange.send)
        except TimeoutError:
            logger.warning("request_timeout", route=_route(scope))
            message = f"The server could not answer in time; {_again(scope, headers)}"
            await exchange.fail(dialect.timeout_status, "timeout", message)
        except CoveyError as error:
            logger.warning("unavailable", reason=error.message)
            await exchange.fail(503, "unavailable", "The database cannot answer now; asking again is safe")
        except Exception:
            logger.exception("request_failed", method=scope["method"], route=_route(scope))
            await exchange.fail(500, "internal_error", INTERNAL)

    async def _refusal(
        self, scope: Scope, dialect: Dialect, headers: Mapping[bytes, bytes], allowed: Allowance
    ) -> Refusal | None:
        path = scope["path"]
        if path in PUBLIC:
            return None
        if dialect.takes_key(scope["method"], path):
            address = (scope.get("client") or ("",))[0]
            admitted = await self._gate.admit(dialect, scope["method"], path, headers, address)
            if isinstance(admitted, Refusal):
                return admitted
            scope["state"]["caller"] = admitted
        if b"%00" in scope["query_string"] and (name := _with_nul(scope["query_string"])) is not None:
            what = f"{name}: holds a NUL character"
            return Refusal(400, dialect.problem(path, 400, "bad_request", what, {}), {}, "bad_request")
        if _length(headers) > allowed.bytes:
            error = BodyTooLarge(allowed.bytes)
            return Refusal(413, dialect.problem(path, 413, "too_large", error.detail, {}), {}, "too_large")
        return None

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = _method(scope["method"]), _route(scope)
        self._metrics.requests.labels(method, route, str(status)).observe(seconds)
        if scope["path"] not in PUBLIC:
            ids = {name: value for name, value in _ids(scope).items() if _ID.fullmatch(value)}
            logger.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1), **ids)


class _Exchange:
    """One request's answer: it gets the request's id, and at most one beginning."""

    def __init__(self, ident: str, dialect: Dialect, path: str, receive: Receive, send: Send) -> None:
        self._ident = ident.encode()
        self._dialect = dialect
        self._path = path
        self._receive = receive
        self._send = send
        self._closing = False
        self.status = 0
        self.deadline: asyncio.Timeout | None = None
        self.close_if: Callable[[], bool] = lambda: False

    async def send(self, message: Message) -> None:
        """Pass a message on. Once the answer has begun, its time is its reader's."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*_with_defaults(message.get("headers", ())), (b"x-request-id", self._ident)]
            self._closing = self.close_if()
            if self._closing:
                message["headers"].append((b"connection", b"close"))
            if self.deadline is not None:
                self.deadline.reschedule(None)
        elif self._closing and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _linger(self) -> None:
        """The answer is out: take what still comes of the body, so that the client gets to read it."""
        left = _LINGERS_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGERS):
                while left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    async def refuse(self, refusal: Refusal, close: bool) -> None:
        """Answer without having read the body."""
        self.close_if = lambda: close
        await self._answer(refusal.status, refusal.body, refusal.headers)

    async def fail(self, status: int, code: str, message: str) -> None:
        """Answer for what went wrong, if the answer has not begun."""
        self.deadline = None
        if not self.status:
            body = self._dialect.problem(self._path, status, code, message, {"requestId": self._ident.decode()})
            await self._answer(status, body, {"retry-after": str(RETRY_AFTER)} if status == 503 else {})

    async def _answer(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        raw = orjson.dumps(body)
        pairs = [(b"content-type", b"application/json"), (b"content-length", str(len(raw)).encode())]
        pairs += [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": raw})


class _Body:
    """A request's body, counted and timed while it comes."""

    def __init__(self, receive: Receive, limits: Limits, allowed: Allowance) -> None:
        self._receive = receive
        self._idle = limits.body_idle_seconds
        self._most = allowed.bytes
        self._until = asyncio.get_running_loop().time() + allowed.body_seconds
        self._taken = 0
        self.complete = False

    async def receive(self) -> MutableMapping[str, Any]:
        """The next message. Raises BodyTooLarge, BodyTooSlow."""
        if self.complete:
            return await self._receive()
        left = self._until - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, min(self._idle, left))):
                message = await self._receive()
        except TimeoutError:
            raise BodyTooSlow from None
        self._taken += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        if self._taken > self._most:
            raise BodyTooLarge(self._most)
        return message


def _with_defaults(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """An answer's headers, and those of `_DEFAULTS` that it does not have."""
    own = list(headers)
    names = {name.lower() for name, _ in own}
    return [*own, *(pair for pair in _DEFAULTS if pair[0] not in names)]


def _again(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """What may be done after an answer that did not come: the work may have been done all the same."""
    if scope["method"] != "POST" or b"idempotency-key" in headers:
        return "asking again is safe"
    return "look whether it was done all the same; with an Idempotency-Key, asking again is safe"


def _with_nul(query: bytes) -> str | None:
    """The first parameter of a query with a NUL in its name or its value."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return next((name.replace("\0", _NO_NUL)[:40] for name, value in pairs if "\0" in name + value), None)


def _length(headers: Mapping[bytes, bytes]) -> int:
    given = headers.get(b"content-length", b"0")
    return int(given[:19]) if given.isdigit() else 0


def _closes(headers: Mapping[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or _length(headers) > _DRAINED


def _route(scope: Scope) -> str:
    """The route's path with its parameters' names instead of their values; `none` where no route was found."""
    if "route" not in scope:
        return "none"
    names = {str(value): f"{{{name}}}" for name, value in scope.get("path_params", {}).items()}
    return "/".join(names.get(part, part) for part in scope["path"].split("/"))


def _ids(scope: Scope) -> dict[str, str]:
    """The batch and the call that a request names, for the log."""
    given = scope.get("path_params", {})
    named = (("batch", "batchId"), ("item", "jobId"), ("batch", "batch_id"), ("item", "task_id"))
    return {name: str(given[key]) for name, key in named if key in given}


def _method(method: str) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return method if method in known else "other"
