"""The bytes of a list: is it text in the encoding that was stated, and what is its fingerprint."""

import codecs
import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from covey.calls.intake.options import Encoding
from covey.domain.errors import BadRequest

SAVE_AS = "Open it in the program that made it, choose “Save as”, “CSV UTF-8 (comma delimited)”, and send that file."

_CHUNK = 256 * 1024
_CODECS = {Encoding.utf_8: "utf-8-sig", Encoding.windows_1252: "cp1252", Encoding.utf_16: "utf-16"}
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_OTHERS = {
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\x1f\x8b": "a compressed file",
    b"BZh": "a compressed file",
    b"\xfd7zXZ": "a compressed file",
    b"7z\xbc\xaf": "a compressed file",
    b"\x7fELF": "a program",
    b"{\\rtf": "an RTF document",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"<?xml": "an XML file",
    b"{": "JSON",
    b"[": "JSON",
}
_MARKS = {
    b"\xef\xbb\xbf": Encoding.utf_8,
    b"\xff\xfe": Encoding.utf_16,
    b"\xfe\xff": Encoding.utf_16,
}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is text: its SHA-256 in hex, and whether it holds control characters anywhere."""

    path: Path
    encoding: Encoding
    sha256: str
    has_controls: bool

    def open(self) -> TextIO:
        """The text, its line ends as they are in the file."""
        return self.path.open(encoding=_CODECS[self.encoding], newline="")


def examine(path: Path, encoding: Encoding) -> Source:
    """Reads the file once. Raises BadRequest if it is no text file, or not in this `encoding`."""
    digest, controls, bytes_read = hashlib.sha256(), False, 0
    decoder = codecs.getincrementaldecoder(_CODECS[encoding])()
    lines = io.IncrementalNewlineDecoder(None, translate=True)
    line = 1
    with path.open("rb") as file:
        _refuse_other_formats(file.read(16), encoding)
        file.seek(0)
        while True:
            chunk = file.read(_CHUNK)
            digest.update(chunk)
            bytes_read += len(chunk)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(_codec_inside(encoding, error.object), errors="replace")
                line += lines.decode(before, final=True).count("\n")
                raise _not_decodable(error, encoding, line, bytes_read - len(error.object) + error.start) from None
            controls = controls or _CONTROL.search(text) is not None
            line += lines.decode(text).count("\n")
            if not chunk:
                return Source(path, encoding, digest.hexdigest(), controls)


def control_in(text: str) -> str | None:
    """The first control character of `text` but tab and line ends, as U+00XX; None if there is none."""
    found = _CONTROL.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def _refuse_other_formats(head: bytes, encoding: Encoding) -> None:
    if not head:
        raise BadRequest("The file is empty. Its first line must name the columns.", code="no_header")
    if head.startswith(_WORKBOOKS):
        raise BadRequest(f"The file is a workbook, not CSV. {SAVE_AS}", code="workbook")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, name in _OTHERS.items():
        if start.startswith(magic):
            raise BadRequest(f"The file is {name}, not CSV. {SAVE_AS}", code="not_csv")
    for mark, marked in _MARKS.items():
        if head.startswith(mark) and marked is not encoding:
            raise BadRequest(
                f"The file begins with the mark of {marked}, but it was to be read as {encoding} (line 1, byte 0). "
                f"Send encoding={marked}.",
                code="bad_encoding",
                line=1,
                byte=0,
            )
    if encoding is Encoding.utf_16 and not any(head.startswith(mark) for mark in _MARKS if _MARKS[mark] is encoding):
        raise BadRequest(
            "The file was to be read as utf-16, but does not begin with its byte order mark (line 1, byte 0). "
            "Save the file as CSV UTF-8, or send the encoding that it is in.",
            code="bad_encoding",
            line=1,
            byte=0,
        )


def _not_decodable(error: UnicodeDecodeError, encoding: Encoding, line: int, at: int) -> BadRequest:
    broken = error.object[error.start : error.start + 1]
    hint = "Save the file as CSV UTF-8."
    if encoding is Encoding.utf_8 and (meant := broken.decode("cp1252", errors="ignore")):
        hint = f"If it should be “{meant}” there, send encoding=windows-1252; or save the file as CSV UTF-8."
    return BadRequest(
        f"Line {line}, byte {at} of the file (0x{broken.hex().upper()}) is not {encoding}. {hint}",
        code="bad_encoding",
        line=line,
        byte=at,
    )


def _codec_inside(encoding: Encoding, data: bytes) -> str:
    """The codec for a part of the file: byte order marks stand at its beginning only."""
    if encoding is not Encoding.utf_16:
        return _CODECS[encoding]
    return "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-16-le"
