"""The multipart form of an upload: read as it streams, its file written to the spool a megabyte at a time, so that a
large file takes no memory and holds up nobody."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from covey.analysis.assetfiles import room
from covey.domain.errors import BadRequest
from covey.settings import Limits

FILE = "file"
FIELDS = frozenset({"method", "url", "filename", "enable_hls", "enable_thumbnail", "user_metadata"})
HELD = 1024 * 1024
"""So many bytes are collected before they are written."""

TOO_LARGE = "video_filesize_too_large"
INVALID, UNKNOWN = "parameter_invalid", "parameter_unknown"


@dataclass(slots=True)
class Upload:
    """A form that was read to its end: its text fields, and the file in the spool with the name it was given."""

    fields: dict[str, str] = field(default_factory=dict)
    file: Path | None = None
    name: str = ""
    size: int = 0


async def read_upload(request: Request, spooled: Path, most: int, limits: Limits) -> Upload:
    """Read a form; its file, of at most `most` bytes, goes to `spooled` and is the caller's.

    Raises BadRequest, NoRoom; then, and when the client goes away, nothing stays behind.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadRequest("The body must be multipart/form-data with the part method, and file or url", code=INVALID)
    reader = _Reader(spooled, most, limits)
    try:
        with room():
            await _feed(reader, options[b"boundary"], request.stream())
            await reader.finish()
    except BaseException:
        reader.abandon()
        raise
    return reader.upload


async def _feed(reader: "_Reader", boundary: bytes, chunks: AsyncIterator[bytes]) -> None:
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        async for chunk in chunks:
            if chunk:
                parser.write(chunk)
                await reader.write_held(HELD)
        parser.finalize()
    except MultipartParseError as error:
        raise BadRequest(f"The body is not a valid multipart form: {error}", code=INVALID) from None
    if not reader.complete:
        raise BadRequest("The form ends before its last boundary; it was cut off on the way", code=INVALID)


class _Reader:
    """Takes the parts of a form as the parser finds them."""

    def __init__(self, spooled: Path, most: int, limits: Limits) -> None:
        self.upload = Upload()
        self.complete = False
        self._spooled = spooled
        self._most = most
        self._limits = limits
        self._file: BinaryIO | None = None
        self._in_file = False
        self._held = bytearray()
        self._parts = 0
        self._name = ""
        self._header = [bytearray(), bytearray()]
        self._disposition = b""
        self._value = bytearray()

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

    async def write_held(self, least: int) -> None:
        """Write what was collected of the file, if it is at least so much."""
        if self._file is not None and len(self._held) >= least:
            held, self._held = self._held, bytearray()
            await asyncio.to_thread(self._file.write, held)

    async def finish(self) -> None:
        """Write the rest, and see that it is on the disk."""
        if self._file is not None:
            await self.write_held(0)
            await asyncio.to_thread(os.fsync, self._file.fileno())
            self._file.close()

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            self._file.close()
            self._spooled.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._limits.form_parts:
            raise BadRequest(f"The form has over {self._limits.form_parts} parts", code=INVALID)
        self._disposition, self._value = b"", bytearray()

    def _header_end(self) -> None:
        if bytes(self._header[0]).lower() == b"content-disposition":
            self._disposition = bytes(self._header[1])
        self._header = [bytearray(), bytearray()]

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != FILE and name not in FIELDS:
            known = ", ".join(sorted({*FIELDS, FILE}))
            raise BadRequest(f"{name[:100]}: there is no such form field; there are {known}", code=UNKNOWN)
        if name in self.upload.fields or (name == FILE and self._file is not None):
            raise BadRequest(f"{name}: the form has this part twice", code=INVALID)
        self._name = name
        self._in_file = name == FILE
        if self._in_file:
            self.upload.name = options.get(b"filename", b"").decode("utf-8", "replace")
            self.upload.file = self._spooled
            self._file = self._spooled.open("xb", buffering=0)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._in_file:
            self._value += data[start:end]
            if len(self._value) > self._limits.field_bytes:
                raise BadRequest(f"{self._name}: longer than {self._limits.field_bytes:,} bytes", code=INVALID)
            return
        self.upload.size += end - start
        if self.upload.size > self._most:
            raise too_large(self._most)
        self._held += data[start:end]

    def _part_end(self) -> None:
        if self._in_file:
            self._in_file = False
            return
        try:
            text = self._value.decode()
        except UnicodeDecodeError:
            raise BadRequest(f"{self._name}: not UTF-8", code=INVALID) from None
        if "\0" in text:
            raise BadRequest(f"{self._name}: holds a NUL character", code=INVALID)
        self.upload.fields[self._name] = text

    def _end(self) -> None:
        self.complete = True


def too_large(most: int) -> BadRequest:
    """A file over the limit. It is a 400, which the published SDKs know."""
    return BadRequest(
        f"file: larger than the limit of {most:,} bytes; give larger files by url, or upload them in parts",
        code=TOO_LARGE,
    )
