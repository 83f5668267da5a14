"""Everything that can go wrong between a client and its server.

CoveyClientError
├── ProfileError           there is no server address, key or workspace to use
├── Unreachable            no answer came; nothing is known to have happened
├── UnexpectedAnswer       something answered that is not this API
└── ApiError               the server refused: `status`, `code`, `message`, `body`
    ├── BadRequest         400
    │   └── InvalidRows    400 with the rows of the CSV that are wrong
    ├── Refused            401, 403   the key is unknown, or may not do this
    ├── NotFound           404
    ├── Conflict           409
    │   └── DuplicateBatch 409 with the earlier batch's id
    ├── TooLarge           413
    ├── Unprocessable      422   the idempotency key was used for something else
    ├── RateLimited        429
    └── ServerError        5xx
        └── Unavailable    503   asking again later is safe
"""

from collections.abc import Mapping
from typing import Any

from covey.client.models import InvalidRow
from covey.client.reading import items, read


class CoveyClientError(Exception):
    """Something went wrong."""

    def __init__(self, message: str) -> None:
        """`message` is a sentence for a person."""
        self.message = message
        super().__init__(message)


class ProfileError(CoveyClientError):
    """There is no server address, key or workspace to use, or the profile cannot be read."""


class Unreachable(CoveyClientError):
    """No answer came."""


class UnexpectedAnswer(CoveyClientError):
    """Something answered that is not this API."""


class ApiError(CoveyClientError):
    """The server refused.

    `status` is the HTTP status, `code` a short name of the reason ("" if the server gave none), `body` the whole
    answer, `request_id` what the server's log calls the request. `replayed` says that the refusal was kept from an
    earlier request with the same idempotency key.
    """

    replayed = False

    def __init__(
        self, status: int, message: str, code: str = "", body: Mapping[str, Any] | None = None, request_id: str = ""
    ) -> None:
        self.status = status
        self.code = code
        self.body = dict(body or {})
        self.request_id = request_id
        super().__init__(message)


class BadRequest(ApiError):
    """Something in the request is wrong."""


class InvalidRows(BadRequest):
    """Rows of the CSV are wrong, and nothing was started."""

    @property
    def rows(self) -> tuple[InvalidRow, ...]:
        """The first bad rows, at most 1,000."""
        return tuple(read(InvalidRow, row) for row in items(self.body.get("invalidRows")))

    @property
    def count(self) -> int:
        """How many rows are bad in all."""
        return int(self.body.get("invalidCount") or len(self.rows))


class Refused(ApiError):
    """The key is unknown, or may not do this."""


class NotFound(ApiError):
    """There is nothing of this id in the workspace."""


class Conflict(ApiError):
    """The state of the object does not allow this."""


class DuplicateBatch(Conflict):
    """The same file for the same agent was accepted before."""

    @property
    def batch_id(self) -> str:
        """The earlier batch."""
        return str(self.body.get("batchId", ""))


class TooLarge(ApiError):
    """The request is larger than the server takes."""


class Unprocessable(ApiError):
    """The idempotency key was used for something else."""


class RateLimited(ApiError):
    """Too many requests."""


class ServerError(ApiError):
    """The server failed."""


class Unavailable(ServerError):
    """The server cannot answer now; asking again later is safe."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Refused,
    403: Refused,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Unprocessable,
    429: RateLimited,
    503: Unavailable,
}


def api_error(status: int, body: Mapping[str, Any], request_id: str = "") -> ApiError:
    """The error that an answer of this status and body stands for.

    Reads all shapes of contract section 10.5: `error` as a string or an object, beside it `message` and `code`.
    """
    inner = body.get("error")
    nested = inner if isinstance(inner, Mapping) else {}
    said = body.get("message") or nested.get("message") or (inner if isinstance(inner, str) else "")
    code = str(body.get("code") or nested.get("code") or (inner if isinstance(inner, str) else ""))
    return _kind(status, code, body)(status, str(said or f"The server answered {status}"), code, body, request_id)


def _kind(status: int, code: str, body: Mapping[str, Any]) -> type[ApiError]:
    if status == 400 and body.get("invalidRows"):
        return InvalidRows
    if status == 409 and code == "duplicate_batch":
        return DuplicateBatch
    return _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
