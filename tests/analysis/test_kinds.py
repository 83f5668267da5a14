"""What a file is, by its bytes and its name."""

import pytest

from covey.analysis.file_types import kind_of

MP4, QT, M4A = b"\0\0\0\x20ftypisom", b"\0\0\0\x14ftypqt  ", b"\0\0\0\x20ftypM4A "


@pytest.mark.parametrize(
    ("name", "head", "media_type"),
    [
        ("a.mp4", MP4, "video/mp4"),
        ("a", MP4, "video/mp4"),
        ("a.mov", QT, "video/quicktime"),
        ("a", M4A, "audio/mp4"),
        ("a.MP4", b"", "video/mp4"),
        ("a.mp4", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("a.png", MP4, "video/mp4"),
        ("a.webm", b"\x1aE\xdf\xa3", "video/webm"),
        ("a.ogv", b"OggS", "video/ogg"),
        ("a", b"RIFF\0\0\0\0WAVE", "audio/wav"),
        ("a", b"RIFF\0\0\0\0WEBP", "image/webp"),
        ("a.pdf", b"%PDF-1.7", "application/pdf"),
        ("notes.MD", b"# Notes", "text/markdown"),
        ("a.mp4", b"ffconcat version 1.0\n", "video/mp4"),
    ],
)
def test_the_bytes_decide_where_they_are_known(name: str, head: bytes, media_type: str) -> None:
    found = kind_of(name, head)
    assert found is not None
    assert found.media_type == media_type


@pytest.mark.parametrize(
    ("name", "head"),
    [("a", b""), ("a.exe", b"MZ"), ("a.pdf", b"no pdf"), ("a.txt", b"\0binary"), ("a", b"12345678WAVE")],
)
def test_what_nothing_speaks_for_is_nothing(name: str, head: bytes) -> None:
    assert kind_of(name, head) is None
