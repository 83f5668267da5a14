"""How errors are told (contract 10.5, 12.2): shape 1 everywhere, shape 2 on a single call, shape 3 for 429.

shape 1   {"error": code, "message": sentence, …details}
shape 2   {"status": "not_found", "error": code, "message": sentence}
shape 3   {"error": {"code", "message", "reset_at"}}
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from covey.domain.clock import Clock
from covey.domain.errors import CoveyError, TooMany

logger = structlog.get_logger(__name__)

RETRY_AFTER = 2
"""Seconds after which a client may ask again when the store could not answer."""

INTERNAL = "Something went wrong inside the server; the log has it under this request's id"


class BodyTooLarge(HTTPException):
    """The body goes beyond the limit while it streams; passes through the framework unchanged."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"The body is larger than the limit of {limit:,} bytes")


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
        super().__init__(orjson.dumps(content) if raw is None else raw, status, headers)
        self.kept: bytes = bytes(self.body)
        """What an Idempotency-Key keeps of it: all, unless a secret is shown once."""


def rendered(error: CoveyError, request_id: str | None = None) -> dict[str, Any]:
    """An error's body in shape 1, or 3 for 429."""
    if isinstance(error, TooMany):
        return {"error": {"code": error.code, "message": error.message, **error.details}}
    body = {"error": error.code, "message": error.message, **error.details}
    if error.status >= 500 and request_id:
        body["requestId"] = request_id
    return body


def too_many(clock: Clock, message: str, seconds: float) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of a 429 that ends in `seconds`."""
    reset = clock.now() + timedelta(seconds=seconds)
    error = TooMany(message, reset_at=reset.isoformat(timespec="seconds").replace("+00:00", "Z"))
    return rendered(error), {"retry-after": str(max(1, math.ceil(seconds)))}


def request_id(request: Request) -> str:
    """The id under which this request is logged."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def install(app: FastAPI) -> None:
    """Tell every error in the documented shapes."""
    app.add_exception_handler(CoveyError, _covey)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


async def _covey(request: Request, error: Exception) -> Response:
    assert isinstance(error, CoveyError)
    body = rendered(error, request_id(request))
    if error.status >= 500:
        logger.warning("unavailable", error=error.code, reason=error.message)
    if error.status == 503:
        body["message"] = "The database cannot answer now; asking again is safe"
    return Answer(body, error.status, {"retry-after": str(RETRY_AFTER)} if error.status == 503 else None)


_CODES = {404: "not_found", 405: "method_not_allowed", 408: "request_timeout", 413: "too_large"}
_TEXTS = {404: "There is no such route", 405: "This route does not take this method"}


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "bad_request")
    known = isinstance(error, (BodyTooLarge, BodyTooSlow))
    message = error.detail if known else _TEXTS.get(error.status_code, str(error.detail))
    return Answer({"error": code, "message": message}, error.status_code, dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return Answer({"error": "bad_request", "message": sentence(error.errors()[0])}, 400)


def sentence(first: Mapping[str, Any]) -> str:
    """One of pydantic's errors as a sentence: which field, what is wrong with it."""
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    what = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return f"The body is not valid JSON: {first.get('ctx', {}).get('error', what)}"
    if first["type"] == "extra_forbidden":
        what = "there is no such field"
    return f"{'.'.join(place)}: {what}" if place else f"The body: {what}"


async def _gone(request: Request, error: Exception) -> Response:
    logger.info("client_left")
    return Answer({"error": "client_left", "message": "The connection was closed before the body was complete"}, 400)


async def _unexpected(request: Request, error: Exception) -> Response:
    """The framework raises the error again after this answer; the door logs it."""
    body = {"error": "internal_error", "message": INTERNAL, "requestId": request_id(request)}
    return Answer(body, 500)
