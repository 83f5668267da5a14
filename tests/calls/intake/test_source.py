"""Bytes that are text in the stated encoding, and bytes that are not."""

import codecs
import hashlib

import pytest

from covey.calls.intake import Encoding
from covey.domain.errors import BadRequest

from .conftest import CheckText

NUMBER = "+12025550101"
TEXT = f"phone_number,name\r\n{NUMBER},Zoë “Z” Ångström\r\n"


def refused(check_text: CheckText, content: bytes, **options: object) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        check_text(content, **options)
    return caught.value


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), Encoding.utf_8),
        (codecs.BOM_UTF8 + TEXT.encode(), Encoding.utf_8),
        (TEXT.encode("cp1252"), Encoding.windows_1252),
        (TEXT.encode("utf-16"), Encoding.utf_16),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), Encoding.utf_16),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), Encoding.utf_16),
    ],
)
def test_encodings(check_text: CheckText, content: bytes, encoding: Encoding) -> None:
    checked = check_text(content, encoding=encoding)
    assert checked.items[0][2]["values"] == {"phone_number": NUMBER, "name": "Zoë “Z” Ångström"}
    assert checked.report.encoding == encoding
    assert checked.sha256 == hashlib.sha256(content).hexdigest()


def test_a_wrong_byte_is_named_by_line_and_place(check_text: CheckText) -> None:
    content = f"phone_number,name\r\n{NUMBER},Ada\r\n{NUMBER},Zo".encode() + b"\xeb\r\n"
    error = refused(check_text, content)
    assert error.code == "bad_encoding"
    assert error.details == {"line": 3, "byte": content.index(b"\xeb")}
    assert "Line 3" in error.message
    assert "“ë” there, send encoding=windows-1252" in error.message


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_a_wrong_byte_far_into_a_file(check_text: CheckText, mark: bytes) -> None:
    """Beyond the first chunks that are read, with characters cut in two at their ends."""
    content = mark + b"phone_number,name\n" + f"{NUMBER},Zoë\n".encode() * 60_000 + b"\xff"
    assert refused(check_text, content).details == {"line": 60_002, "byte": len(content) - 1}


def test_a_wrong_byte_near_the_mark(check_text: CheckText) -> None:
    content = codecs.BOM_UTF8 + b"phone\xe9\n"
    assert refused(check_text, content).details == {"line": 1, "byte": 8}


def test_broken_utf_16(check_text: CheckText) -> None:
    content = TEXT.encode("utf-16") + b"\x00\xd8"
    error = refused(check_text, content, encoding=Encoding.utf_16)
    assert error.details == {"line": 3, "byte": len(content) - 2}


def test_bytes_that_windows_1252_does_not_have(check_text: CheckText) -> None:
    error = refused(check_text, b"phone_number\n\x81\n", encoding=Encoding.windows_1252)
    assert error.details == {"line": 2, "byte": 13}


@pytest.mark.parametrize("content", [TEXT.encode("utf-16-le"), TEXT.encode("utf-16-be"), b"RIFF\x1a\0\0\0", b"ab"])
def test_utf_16_without_its_mark(check_text: CheckText, content: bytes) -> None:
    """Python's decoder raises an error of its own for it, which is no UnicodeDecodeError."""
    error = refused(check_text, content, encoding=Encoding.utf_16)
    assert error.code == "bad_encoding"
    assert "does not begin with its byte order mark" in error.message


@pytest.mark.parametrize(
    ("content", "stated", "right"),
    [
        (codecs.BOM_UTF8 + TEXT.encode(), Encoding.windows_1252, "encoding=utf-8"),
        (TEXT.encode("utf-16"), Encoding.utf_8, "encoding=utf-16"),
        (TEXT.encode("utf-16"), Encoding.windows_1252, "encoding=utf-16"),
    ],
)
def test_a_mark_that_says_another_encoding(check_text: CheckText, content: bytes, stated: Encoding, right: str) -> None:
    error = refused(check_text, content, encoding=stated)
    assert error.code == "bad_encoding"
    assert right in error.message
    assert error.details == {"line": 1, "byte": 0}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "workbook"),
        (b"%PDF-1.7\n", "not_csv"),
        (b"\x1f\x8b\x08\x00", "not_csv"),
        (b'[{"phone_number": "+12025550101"}]', "not_csv"),
        (b"<html><body>", "not_csv"),
        (b"", "no_header"),
    ],
)
def test_other_formats(check_text: CheckText, content: bytes, code: str) -> None:
    assert refused(check_text, content).code == code


def test_a_workbook_gets_the_way_out(check_text: CheckText) -> None:
    assert "CSV UTF-8" in refused(check_text, b"PK\x03\x04\x14\x00").message
