"""Every error that Covey tells its users.

    CoveyError
    ├── BadRequest      400   something in the request is wrong; the text says what and where
    ├── Unauthorized    401
    ├── Forbidden       403
    ├── NotFound        404
    ├── Conflict        409
    ├── TooLarge        413
    ├── Unprocessable   422
    ├── TooMany         429
    └── Unavailable     503   the store cannot answer now; asking again later is safe
        └── DatabaseFull      it has no room for what was to be written

A subclass is made where somebody has to tell it apart; its docstring is its default text.
"""

from typing import Any, ClassVar


class CoveyError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    code: str = "internal_error"

    def __init__(self, message: str | None = None, *, code: str | None = None, **details: Any) -> None:
        """`message` says what was wrong, where, and what would be right; `details` go into the answer's body."""
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.code = code or type(self).code
        self.details = details
        super().__init__(self.message)


class BadRequest(CoveyError):
    """The request is not valid."""

    status = 400
    code = "bad_request"


class Unauthorized(CoveyError):
    """The API key is missing or unknown."""

    status = 401
    code = "unauthorized"


class Forbidden(CoveyError):
    """The API key may not do this."""

    status = 403
    code = "forbidden"


class NotFound(CoveyError):
    """There is nothing of this id."""

    status = 404
    code = "not_found"


class Conflict(CoveyError):
    """The state of the object does not allow this."""

    status = 409
    code = "conflict"


class TooLarge(CoveyError):
    """The request is larger than the limit."""

    status = 413
    code = "too_large"


class Unprocessable(CoveyError):
    """The request contradicts an earlier one."""

    status = 422
    code = "unprocessable"


class TooMany(CoveyError):
    """Too many requests."""

    status = 429
    code = "rate_limit_exceeded"


class Unavailable(CoveyError):
    """The database cannot answer now; try again."""

    status = 503
    code = "unavailable"


class DatabaseFull(Unavailable):
    """The database's disk is full."""
