"""What sets one wire API apart from another: which paths are its own, how its errors look, what its requests may take.

The middleware finds a request's dialect once, by its path, and keeps it beside the request (`dialect_of`). What is
common to all of them knows no other dialect than the one it is handed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from covey.api.kit.validation import sentence
from covey.domain.errors import CoveyError, TooMany
from covey.settings import Settings


@dataclass(frozen=True, slots=True)
class Allowance:
    """Bytes of the body, seconds for it to come, and seconds until the answer begins."""

    bytes: int
    body_seconds: float
    answer_seconds: float


class Dialect:
    """A wire API, with what is usual; each API derives from it and changes what differs.

    Errors are `{"error": code, "message": sentence, …details}`, for a limit that was reached
    `{"error": {"code", "message", …details}}`.
    """

    prefix = ""
    """What its paths begin with; Covey's own has every path that no other dialect has."""
    names_workspace = True
    """Whether a request names its workspace in `x-workspace-id`; if not, its key alone does."""
    dates_limits = True
    """Whether a 429 says when the limit is reset."""
    timeout_status = 503
    """The status where no answer came in time."""
    lists: re.Pattern[str] | None = None
    """The paths to which a list is posted, which may be large and take its time to arrive."""

    def owns_path(self, path: str) -> bool:
        """Whether a path belongs to this API."""
        return path == self.prefix or path.startswith(self.prefix + "/")

    def documented_path(self, path: str) -> str:
        """The documented path of a route that clients also know by another."""
        return path

    def takes_key(self, method: str, path: str) -> bool:
        """Whether a request needs a key; one that does not brings proof of its own, which its route checks."""
        return True

    def allowance(self, settings: Settings, method: str, path: str) -> Allowance:
        """What a request may take."""
        limits = settings.limits
        if method == "POST" and self.lists is not None and self.lists.fullmatch(path.rstrip("/")):
            most = limits.csv_bytes + limits.form_overhead_bytes
            return Allowance(most, limits.upload_seconds, limits.request_seconds)
        return Allowance(limits.json_bytes, limits.request_seconds, limits.request_seconds)

    def problem(self, path: str, status: int, code: str, message: str, details: Mapping[str, Any]) -> dict[str, Any]:
        """The body of an error."""
        return {"error": code, "message": message, **details}

    def limit_reached(self, path: str, code: str, message: str, details: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a 429."""
        return {"error": {"code": code, "message": message, **details}}

    def invalid(self, first: Mapping[str, Any]) -> tuple[str, str]:
        """Code and sentence of the first thing that pydantic finds wrong with a request."""
        return "bad_request", sentence(first)

    def error(self, path: str, error: CoveyError, request_id: str | None = None) -> dict[str, Any]:
        """The body for one of Covey's errors; the server's own faults name the request under which they are logged."""
        if isinstance(error, TooMany):
            return self.limit_reached(path, error.code, error.message, error.details)
        trace = {"requestId": request_id} if error.status >= 500 and request_id else {}
        return self.problem(path, error.status, error.code, error.message, {**error.details, **trace})


class Dialects:
    """The wire APIs of one application."""

    def __init__(self, own: Dialect, others: Sequence[Dialect]) -> None:
        self._own = own
        self._others = others

    def documented_path(self, path: str) -> str:
        """The documented path of a request, whichever of its names was used."""
        for dialect in self._others:
            path = dialect.documented_path(path)
        return path

    def of(self, path: str) -> Dialect:
        """The dialect of a documented path."""
        return next((dialect for dialect in self._others if dialect.owns_path(path)), self._own)


def dialect_of(request: Request) -> Dialect:
    """The dialect of a request, as the middleware found it."""
    found: Any = request.scope["state"]["dialect"]
    assert isinstance(found, Dialect)
    return found
