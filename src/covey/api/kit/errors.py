"""Errors as answers: what every dialect does about those that routes raise. Their form is the dialect's."""

import math
from collections.abc import Container, Mapping
from datetime import timedelta
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Match

from covey.api.kit.dialect import Dialect, dialect_of
from covey.api.kit.json_text import write_json
from covey.domain.clock import Clock
from covey.domain.errors import CoveyError, DatabaseFull, TooMany, Unavailable

logger = structlog.get_logger(__name__)

RETRY_AFTER = 2
"""Seconds after which a client may ask again when the store could not answer."""

TOO_MANY_AFTER = 30
"""Seconds after which a client may ask again when the workspace has as much open as it may have, or the server as
many lists to check."""

INTERNAL = "Something went wrong inside the server; the log has it under this request's id"


class Unsure(Unavailable):
    """The database did not answer while something was made. Whether it was made shows when it is asked for."""


class BodyTooLarge(HTTPException):
    """The body goes beyond the limit while it streams; passes through the framework unchanged."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"The body is larger than the limit of {limit:,} bytes")


class BodyUnfit(HTTPException):
    """The body is not what the route takes; passes through the framework unchanged. `first` is what is wrong with it,
    in pydantic's form."""

    def __init__(self, first: Mapping[str, Any]) -> None:
        super().__init__(400, str(first["msg"]))
        self.first = first


class BodyTooSlow(HTTPException):
    """The body did not come in time."""

    def __init__(self) -> None:
        super().__init__(408, "The body did not arrive in time; send it again")


class Answer(Response):
    """A JSON answer."""

    media_type = "application/json"

    def __init__(
        self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None, raw: bytes | None = None
    ) -> None:
        """`content` is anything orjson writes; `raw` is JSON that is ready."""
        super().__init__(write_json(content) if raw is None else raw, status, headers)
        self.stored: bytes | None = bytes(self.body) if status < 500 else None
        """What an Idempotency-Key keeps of it: all, unless a secret is shown once. None: nothing, the key is forgotten,
        and who asks again has it done again."""


def too_many(
    dialect: Dialect, clock: Clock, message: str, seconds: float, path: str, code: str | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of a 429 that ends in `seconds`."""
    reset = clock.now() + timedelta(seconds=seconds)
    error = TooMany(message, code=code, reset_at=reset.isoformat(timespec="seconds").replace("+00:00", "Z"))
    return dialect.error(path, error), {"retry-after": str(max(1, math.ceil(seconds)))}


def request_id(request: Request) -> str:
    """The id under which this request is logged."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def install(app: FastAPI) -> None:
    """Tell every error in the documented shapes."""
    app.add_exception_handler(CoveyError, _covey)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(BodyUnfit, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


async def _covey(request: Request, error: Exception) -> Response:
    """What the store says of its database stays in the log; every other error speaks for itself."""
    assert isinstance(error, CoveyError)
    dialect, path = dialect_of(request), request.url.path
    if error.status >= 500:
        logger.warning("unavailable", error=error.code, reason=error.message)
    if type(error) in (Unavailable, DatabaseFull):
        error = Unavailable("The database cannot answer now; asking again is safe", code=error.code, **error.details)
    if isinstance(error, TooMany) and dialect.dates_limits:
        clock = request.scope["state"]["services"].clock
        body, headers = too_many(dialect, clock, error.message, TOO_MANY_AFTER, path, error.code)
        return Answer(body, error.status, headers)
    wait = {503: RETRY_AFTER, 429: TOO_MANY_AFTER}.get(error.status)
    headers = {"retry-after": str(wait)} if wait else {}
    return Answer(dialect.error(path, error, request_id(request)), error.status, headers)


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_CODES = {404: "not_found", 408: "request_timeout", 413: "too_large"}
_TEXTS = {404: "There is no such route"}


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return not_allowed(dialect_of(request), request.url.path, _methods(request))
    code = _CODES.get(error.status_code, "bad_request")
    known = isinstance(error, (BodyTooLarge, BodyTooSlow))
    message = error.detail if known else _TEXTS.get(error.status_code, str(error.detail))
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    return _problem(request, error.status_code, code, message, headers)


def _problem(
    request: Request, status: int, code: str, message: str, headers: Mapping[str, str] | None = None, **details: Any
) -> Answer:
    body = dialect_of(request).problem(request.url.path, status, code, message, details)
    return Answer(body, status, headers)


def not_allowed(dialect: Dialect, path: str, methods: Container[str]) -> Answer:
    """A 405, which names the methods that the path takes."""
    body = dialect.problem(path, 405, "method_not_allowed", "This route does not take this method", {})
    return Answer(body, 405, {"allow": ", ".join(method for method in _METHODS if method in methods)})


def _methods(request: Request) -> list[str]:
    """The methods that the path takes; the framework names those of its first route alone."""
    routes = request.app.router.routes
    asked = {method: {**request.scope, "method": method} for method in _METHODS}
    return [name for name, scope in asked.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, (RequestValidationError, BodyUnfit))
    first = error.first if isinstance(error, BodyUnfit) else error.errors()[0]
    return _problem(request, 400, *dialect_of(request).invalid(first))


async def _gone(request: Request, error: Exception) -> Response:
    logger.info("client_left")
    return _problem(request, 400, "client_left", "The connection was closed before the body was complete")


async def _unexpected(request: Request, error: Exception) -> Response:
    """The framework raises the error again after this answer; the middleware logs it."""
    return _problem(request, 500, "internal_error", INTERNAL, requestId=request_id(request))
