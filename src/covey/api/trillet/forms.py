"""The multipart form of a start: read as it streams, its file spooled to the data folder, its fields checked one by
one. The framework's own form parsing is not used: it would take the whole upload first and say less about faults."""

import asyncio
import difflib
import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from covey.domain.errors import BadRequest, TooLarge
from covey.settings import Limits

FILE = "file"


@dataclass(slots=True)
class Upload:
    """A form that was read to its end: its text fields, and the file where it lies until the upload is closed."""

    fields: dict[str, str] = field(default_factory=dict)
    path: Path | None = None
    size: int = 0
    sha256: str = ""

    def close(self) -> None:
        """Remove the spooled file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


async def read_form(request: Request, known: frozenset[str], spool: Path, limits: Limits) -> Upload:
    """Read a form with the fields `known` and a file. Raises BadRequest, TooLarge; then nothing stays behind."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadRequest(
            "The body must be multipart/form-data with the parts file and agentId "
            "(curl: -F file=@contacts.csv -F agentId=…)",
            code="not_a_form",
        )
    await asyncio.to_thread(spool.mkdir, mode=0o700, parents=True, exist_ok=True)
    reader = _Reader(known, spool, limits)
    try:
        await _feed(reader, options[b"boundary"], request.stream())
    except BaseException:
        reader.abandon()
        raise
    return reader.finish()


async def _feed(reader: "_Reader", boundary: bytes, chunks: AsyncIterator[bytes]) -> None:
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        async for chunk in chunks:
            if chunk:
                parser.write(chunk)
        parser.finalize()
    except MultipartParseError as error:
        raise BadRequest(f"The body is not a valid multipart form: {error}", code="bad_form") from None
    if not reader.complete:
        raise BadRequest("The form ends before its last boundary; it was cut off on the way", code="bad_form")


class _Reader:
    """Takes the parts of a form as the parser finds them."""

    def __init__(self, known: frozenset[str], spool: Path, limits: Limits) -> None:
        self._known = known
        self._limits = limits
        self._spool = spool
        self._upload = Upload()
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None
        self._parts = 0
        self._name = ""
        self._header = [bytearray(), bytearray()]
        self._disposition = b""
        self._value = bytearray()
        self.complete = False

    def callbacks(self) -> Any:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def finish(self) -> Upload:
        """The form; BadRequest if its file is missing."""
        if self._upload.path is None:
            raise BadRequest("file: the form has no part of this name; it holds the CSV", code="no_file")
        self._upload.sha256 = self._digest.hexdigest()
        return self._upload

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            self._file.close()
        self._upload.close()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._limits.form_parts:
            raise BadRequest(f"The form has over {self._limits.form_parts} parts", code="bad_form")
        self._disposition, self._value = b"", bytearray()

    def _header_end(self) -> None:
        if bytes(self._header[0]).lower() == b"content-disposition":
            self._disposition = bytes(self._header[1])
        self._header = [bytearray(), bytearray()]

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != FILE and name not in self._known:
            raise _unknown(name, self._known)
        if name in self._upload.fields or (name == FILE and self._upload.path is not None):
            raise BadRequest(f"{name}: the form has this part twice", code="bad_form")
        self._name = name
        if name == FILE:
            self._upload.path = self._spool / f"upload-{secrets.token_hex(8)}.csv"
            self._file = self._upload.path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            self._value += data[start:end]
            if len(self._value) > self._limits.field_bytes:
                raise BadRequest(f"{self._name}: longer than {self._limits.field_bytes:,} bytes", code="bad_form")
            return
        piece = data[start:end]
        self._upload.size += len(piece)
        if self._upload.size > self._limits.csv_bytes:
            raise TooLarge(f"file: larger than the limit of {self._limits.csv_bytes:,} bytes; split the list")
        self._digest.update(piece)
        self._file.write(piece)

    def _part_end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            return
        try:
            text = self._value.decode()
        except UnicodeDecodeError:
            raise BadRequest(f"{self._name}: not UTF-8", code="bad_form") from None
        if "\0" in text:
            raise BadRequest(f"{self._name}: holds a NUL character", code="bad_form")
        self._upload.fields[self._name] = text

    def _end(self) -> None:
        self.complete = True


def _unknown(name: str, known: frozenset[str]) -> BadRequest:
    near = difflib.get_close_matches(name, [*known, FILE], n=1)
    hint = f"; is {near[0]} meant?" if near else f"; there are {', '.join(sorted([*known, FILE]))}"
    return BadRequest(f"{name[:100]}: there is no such form field, nothing was started{hint}", code="unknown_field")
