"""Multipart forms with a list: their fields, and the list as a CSV file."""

import asyncio
import difflib
import secrets
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from covey import private
from covey.api.forms import FILE, Form
from covey.api.forms import read_form as read
from covey.domain.errors import BadRequest, TooLarge
from covey.settings import Limits

START = "the parts file and agentId (curl: -F file=@contacts.csv -F agentId=…)"
"""What a start's form has at least."""


async def read_form(request: Request, known: frozenset[str], spool: Path, limits: Limits, least: str = START) -> Form:
    """Read a form with the fields `known` and a file; `least` says what it must have.

    Raises BadRequest, TooLarge, NoRoom; then nothing stays behind.
    """
    await asyncio.to_thread(private.folder, spool)
    spooled = spool / f"upload-{secrets.token_hex(8)}.csv"
    form = await read(request, known, spooled, limits.csv_bytes, limits, _Faults(known, least))
    if form.path is None:
        raise BadRequest("file: the form has no part of this name; it holds the CSV", code="no_file")
    return form


@dataclass(frozen=True, slots=True)
class _Faults:
    """What is wrong with a form, in this family's codes."""

    known: frozenset[str]
    least: str

    def no_form(self) -> BadRequest:
        return BadRequest(f"The body must be multipart/form-data with {self.least}", code="not_a_form")

    def invalid(self, message: str) -> BadRequest:
        return BadRequest(message, code="bad_form")

    def unknown(self, name: str) -> BadRequest:
        names = sorted([*self.known, FILE])
        near = difflib.get_close_matches(name[:100], names, n=1)
        hint = f"; is {near[0]} meant?" if near else f"; there are {', '.join(names)}"
        return BadRequest(f"{name[:100]}: there is no such form field, nothing was started{hint}", code="unknown_field")

    def too_large(self, most: int) -> TooLarge:
        return TooLarge(f"file: larger than the limit of {most:,} bytes; split the list")
