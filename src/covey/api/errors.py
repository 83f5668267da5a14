"""How errors are told (contract 10.5, 12.2): shape 1 everywhere, shape 2 on a single call, shape 3 for 429.

shape 1   {"error": code, "message": sentence, …details}
shape 2   {"status": "not_found", "error": code, "message": sentence}
shape 3   {"error": {"code", "message", "reset_at"}}

Under /v1.3 the shapes of that API hold instead: `covey.api.twelvelabs.shapes`.
"""

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

from covey.api.faults import told
from covey.api.jsontext import write_json
from covey.api.twelvelabs import shapes
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
    """The database did not answer while something was made; whether it was is found out by asking for it."""


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
        self.kept: bytes | None = bytes(self.body) if status < 500 else None
        """What an Idempotency-Key keeps of it: all, unless a secret is shown once. None: nothing, the key is forgotten,
        and who asks again has it done again."""


def rendered(error: CoveyError, request_id: str | None = None, path: str = "") -> dict[str, Any]:
    """An error's body in shape 1, or 3 for 429; in the shape of the API that `path` belongs to."""
    if shapes.speaks(path):
        traced = {"requestId": request_id} if error.status >= 500 and request_id else {}
        return shapes.shaped(path, error.status, error.code, error.message, {**error.details, **traced})
    if isinstance(error, TooMany):
        return {"error": {"code": error.code, "message": error.message, **error.details}}
    body = {"error": error.code, "message": error.message, **error.details}
    if error.status >= 500 and request_id:
        body["requestId"] = request_id
    return body


def plain(path: str, status: int, code: str, message: str, **details: Any) -> dict[str, Any]:
    """The body of an error that is no CoveyError, in the shape of the API that `path` belongs to."""
    if shapes.speaks(path):
        return shapes.shaped(path, status, code, message, details)
    return {"error": code, "message": message, **details}


def too_many(
    clock: Clock, message: str, seconds: float, path: str, code: str | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of a 429 that ends in `seconds`."""
    reset = clock.now() + timedelta(seconds=seconds)
    error = TooMany(message, code=code, reset_at=reset.isoformat(timespec="seconds").replace("+00:00", "Z"))
    return rendered(error, path=path), {"retry-after": str(max(1, math.ceil(seconds)))}


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
    if error.status >= 500:
        logger.warning("unavailable", error=error.code, reason=error.message)
    if type(error) in (Unavailable, DatabaseFull):
        error = Unavailable("The database cannot answer now; asking again is safe", code=error.code, **error.details)
    if isinstance(error, TooMany) and not shapes.speaks(request.url.path):
        clock = request.scope["state"]["services"].clock
        body, headers = too_many(clock, error.message, TOO_MANY_AFTER, request.url.path, error.code)
        return Answer(body, error.status, headers)
    body = rendered(error, request_id(request), request.url.path)
    wait = {503: RETRY_AFTER, 429: TOO_MANY_AFTER}.get(error.status)
    return Answer(body, error.status, {"retry-after": str(wait)} if wait else None)


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_CODES = {404: "not_found", 408: "request_timeout", 413: "too_large"}
_TEXTS = {404: "There is no such route"}


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return not_allowed(request.url.path, _methods(request))
    code = _CODES.get(error.status_code, "bad_request")
    known = isinstance(error, (BodyTooLarge, BodyTooSlow))
    message = error.detail if known else _TEXTS.get(error.status_code, str(error.detail))
    body = plain(request.url.path, error.status_code, code, message)
    return Answer(body, error.status_code, {name.lower(): value for name, value in (error.headers or {}).items()})


def not_allowed(path: str, methods: Container[str]) -> Answer:
    """A 405, which names the methods that the path takes."""
    body = plain(path, 405, "method_not_allowed", "This route does not take this method")
    return Answer(body, 405, {"allow": ", ".join(method for method in _METHODS if method in methods)})


def _methods(request: Request) -> list[str]:
    """The methods that the path takes; the framework names those of its first route alone."""
    routes = request.app.router.routes
    asked = {method: {**request.scope, "method": method} for method in _METHODS}
    return [name for name, scope in asked.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, (RequestValidationError, BodyUnfit))
    first = error.first if isinstance(error, BodyUnfit) else error.errors()[0]
    path = request.url.path
    if shapes.speaks(path):
        return Answer(shapes.shaped(path, 400, *shapes.fault(first), {}), 400)
    return Answer({"error": "bad_request", "message": sentence(first)}, 400)


def sentence(first: Mapping[str, Any]) -> str:
    """One of pydantic's errors as a sentence: which field, what is wrong with it."""
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    what = told(first)
    if first["type"] == "json_invalid":
        return f"The body is not valid JSON: {first.get('ctx', {}).get('error', what)}"
    if first["type"] == "extra_forbidden":
        what = "there is no such field"
    return f"{'.'.join(place)}: {what}" if place else f"The body: {what}"


async def _gone(request: Request, error: Exception) -> Response:
    logger.info("client_left")
    message = "The connection was closed before the body was complete"
    return Answer(plain(request.url.path, 400, "client_left", message), 400)


async def _unexpected(request: Request, error: Exception) -> Response:
    """The framework raises the error again after this answer; the door logs it."""
    return Answer(plain(request.url.path, 500, "internal_error", INTERNAL, requestId=request_id(request)), 500)
