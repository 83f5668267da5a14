"""The multipart form of an upload of an asset."""

from pathlib import Path

from starlette.requests import Request

from covey.analysis.looking import TOO_LARGE
from covey.api.blank import EMPTY_FROM_SDK
from covey.api.forms import FILE, Form, read_form
from covey.domain.errors import BadRequest
from covey.settings import Limits

FIELDS = frozenset({"method", "url", "filename", "enable_hls", "enable_thumbnail", "user_metadata"})
INVALID, UNKNOWN = "parameter_invalid", "parameter_unknown"


async def read_upload(request: Request, spooled: Path, most: int, limits: Limits) -> Form:
    """Read a form; its file, of at most `most` bytes, goes to `spooled`, to stay.

    Raises BadRequest, NoRoom; then, and when the client goes away, nothing stays behind.
    """
    return await read_form(request, FIELDS, spooled, most, limits, FAULTS, lasting=True, absent=EMPTY_FROM_SDK)


class _Faults:
    """What is wrong with a form, in this family's codes."""

    def no_form(self) -> BadRequest:
        return BadRequest("The body must be multipart/form-data with the part method, and file or url", code=INVALID)

    def invalid(self, message: str) -> BadRequest:
        return BadRequest(message, code=INVALID)

    def unknown(self, name: str) -> BadRequest:
        known = ", ".join(sorted({*FIELDS, FILE}))
        return BadRequest(f"{name[:100]}: there is no such form field; there are {known}", code=UNKNOWN)

    def too_large(self, most: int) -> BadRequest:
        """It is a 400, which the published SDKs know."""
        return BadRequest(
            f"file: larger than the limit of {most:,} bytes; give larger files by url, or upload them in parts",
            code=TOO_LARGE,
        )


FAULTS = _Faults()
