"""A multipart form, read as it streams: its text fields are kept, its file goes to the disk a megabyte at a time, so
that a large one takes no memory and holds up nobody. The framework's own form parsing is not used: it would take the
whole upload first and say less about faults."""

import asyncio
import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from covey.api.kit.blank import MAY_BE_EMPTY, WHAT, is_blank
from covey.disk import free_bytes
from covey.domain.errors import CoveyError
from covey.settings import Limits

FILE = "file"
"""The part that is a file."""

HELD = 1024 * 1024
"""So many bytes are collected before they are written."""


class Faults(Protocol):
    """How a family of routes says what is wrong with a form."""

    def no_form(self) -> CoveyError:
        """The body is none."""
        ...

    def invalid(self, message: str) -> CoveyError:
        """It cannot be read."""
        ...

    def unknown(self, name: str) -> CoveyError:
        """It has a part of a name that means nothing here."""
        ...

    def too_large(self, most: int) -> CoveyError:
        """Its file has more than `most` bytes."""
        ...


@dataclass(slots=True)
class Form:
    """A form that was read to its end: its text fields, and its file, if it had one, with the name it was given, its
    size in bytes and its SHA-256. Leaving its block removes the file."""

    fields: dict[str, str] = field(default_factory=dict)
    path: Path | None = None
    name: str = ""
    size: int = 0
    sha256: str = ""

    def close(self) -> None:
        """Remove the file, if it still lies there."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


async def read_form(
    request: Request,
    known: Collection[str],
    spooled: Path,
    most: int,
    limits: Limits,
    faults: Faults,
    *,
    lasting: bool = False,
    absent: Collection[str] = (),
) -> Form:
    """Read a form with the fields `known` and a file, of at most `most` bytes, which goes to `spooled`; if it is
    `lasting`, it outlives a power loss from then on. Those of `absent` count as absent when they are empty.

    Raises what `faults` says, and NoRoom; then, and when the client goes away, nothing stays behind.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise faults.no_form()
    reader = _Reader(known, absent, spooled, most, limits, faults)
    try:
        with free_bytes():
            return await reader.read(request, options[b"boundary"], lasting)
    except BaseException:
        reader.abandon()
        raise


class _Reader:
    """Takes the parts of a form as the parser finds them."""

    def __init__(
        self,
        known: Collection[str],
        absent: Collection[str],
        spooled: Path,
        most: int,
        limits: Limits,
        faults: Faults,
    ) -> None:
        self._known = known
        self._absent = absent
        self._spooled = spooled
        self._most = most
        self._limits = limits
        self._faults = faults
        self._form = Form()
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._buffer = bytearray()
        self._in_file = False
        self._parts = 0
        self._name = ""
        self._header = [bytearray(), bytearray()]
        self._disposition = b""
        self._value = bytearray()
        self._complete = False

    async def read(self, request: Request, boundary: bytes, lasting: bool) -> Form:
        """The whole form."""
        try:
            parser = MultipartParser(boundary, self._callbacks())
            async for chunk in request.stream():
                if chunk:
                    parser.write(chunk)
                    if len(self._buffer) >= HELD:
                        await self._write_held()
            parser.finalize()
        except FormParserError as error:
            raise self._faults.invalid(f"The body is not a valid multipart form: {error}") from None
        if not self._complete:
            raise self._faults.invalid("The form ends before its last boundary; it was cut off on the way")
        if self._file is not None:
            await self._write_held()
            await asyncio.to_thread(_close, self._file, lasting)
            self._form.sha256 = self._digest.hexdigest()
        return self._form

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            self._file.close()
        self._form.close()

    def _callbacks(self) -> Any:
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

    async def _write_held(self) -> None:
        held, self._buffer = self._buffer, bytearray()
        await asyncio.to_thread(self._write, held)

    def _write(self, buffer: bytearray) -> None:
        assert self._file is not None
        self._digest.update(buffer)
        self._file.write(buffer)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._limits.form_parts:
            raise self._faults.invalid(f"The form has over {self._limits.form_parts} parts")
        self._disposition, self._value = b"", bytearray()

    def _header_end(self) -> None:
        if bytes(self._header[0]).lower() == b"content-disposition":
            self._disposition = bytes(self._header[1])
        self._header = [bytearray(), bytearray()]

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = name = options.get(b"name", b"").decode("utf-8", "replace")
        self._in_file = name == FILE
        if not self._in_file and name not in self._known:
            raise self._faults.unknown(name)
        if name in self._form.fields or (self._in_file and self._file is not None):
            raise self._faults.invalid(f"{name}: the form has this part twice")
        if self._in_file:
            self._form.name = options.get(b"filename", b"").decode("utf-8", "replace")
            self._form.path = self._spooled
            self._file = self._spooled.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._in_file:
            self._value += data[start:end]
            if len(self._value) > self._limits.field_bytes:
                raise self._faults.invalid(f"{self._name}: longer than {self._limits.field_bytes:,} bytes")
            return
        self._form.size += end - start
        if self._form.size > self._most:
            raise self._faults.too_large(self._most)
        self._buffer += data[start:end]

    def _part_end(self) -> None:
        if self._in_file:
            self._in_file = False
            return
        try:
            text = self._value.decode()
        except UnicodeDecodeError:
            raise self._faults.invalid(f"{self._name}: not UTF-8") from None
        if "\0" in text:
            raise self._faults.invalid(f"{self._name}: holds a NUL character")
        if not is_blank(text) or self._name in MAY_BE_EMPTY:
            self._form.fields[self._name] = text
        elif self._name not in self._absent:
            raise self._faults.invalid(f"{self._name}: {WHAT}")

    def _end(self) -> None:
        self._complete = True


def _close(file: BinaryIO, lasting: bool) -> None:
    file.flush()
    if lasting:
        os.fsync(file.fileno())
    file.close()
