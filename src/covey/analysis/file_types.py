"""What a file is, by its first bytes and its name. What a client says of it is not asked: one that streams says
`application/octet-stream` of everything (contract section 10.7)."""

from dataclasses import dataclass
from pathlib import PurePath

HEAD = 64
"""So many first bytes are looked at."""

VIDEO, AUDIO, IMAGE, DOCUMENT = "video", "audio", "image", "document"
KINDS = (VIDEO, AUDIO, IMAGE, DOCUMENT)


@dataclass(frozen=True, slots=True)
class FileType:
    """A kind of file: one of `KINDS`, and its media type."""

    kind: str
    media_type: str


_BY_NAME = {
    ".mp4": FileType(VIDEO, "video/mp4"),
    ".m4v": FileType(VIDEO, "video/mp4"),
    ".mov": FileType(VIDEO, "video/quicktime"),
    ".mkv": FileType(VIDEO, "video/x-matroska"),
    ".webm": FileType(VIDEO, "video/webm"),
    ".avi": FileType(VIDEO, "video/x-msvideo"),
    ".flv": FileType(VIDEO, "video/x-flv"),
    ".wmv": FileType(VIDEO, "video/x-ms-wmv"),
    ".ts": FileType(VIDEO, "video/mp2t"),
    ".m2ts": FileType(VIDEO, "video/mp2t"),
    ".mpg": FileType(VIDEO, "video/mpeg"),
    ".mpeg": FileType(VIDEO, "video/mpeg"),
    ".ogv": FileType(VIDEO, "video/ogg"),
    ".3gp": FileType(VIDEO, "video/3gpp"),
    ".mp3": FileType(AUDIO, "audio/mpeg"),
    ".m4a": FileType(AUDIO, "audio/mp4"),
    ".aac": FileType(AUDIO, "audio/aac"),
    ".wav": FileType(AUDIO, "audio/wav"),
    ".flac": FileType(AUDIO, "audio/flac"),
    ".ogg": FileType(AUDIO, "audio/ogg"),
    ".oga": FileType(AUDIO, "audio/ogg"),
    ".opus": FileType(AUDIO, "audio/ogg"),
    ".png": FileType(IMAGE, "image/png"),
    ".jpg": FileType(IMAGE, "image/jpeg"),
    ".jpeg": FileType(IMAGE, "image/jpeg"),
    ".gif": FileType(IMAGE, "image/gif"),
    ".webp": FileType(IMAGE, "image/webp"),
    ".bmp": FileType(IMAGE, "image/bmp"),
    ".tif": FileType(IMAGE, "image/tiff"),
    ".tiff": FileType(IMAGE, "image/tiff"),
    ".heic": FileType(IMAGE, "image/heic"),
    ".avif": FileType(IMAGE, "image/avif"),
    ".pdf": FileType(DOCUMENT, "application/pdf"),
    ".txt": FileType(DOCUMENT, "text/plain"),
    ".md": FileType(DOCUMENT, "text/markdown"),
}

_BY_BYTES = (
    (0, b"\x1aE\xdf\xa3", ".mkv"),
    (0, b"FLV\x01", ".flv"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ".wmv"),
    (0, b"\x00\x00\x01\xba", ".mpg"),
    (0, b"\x00\x00\x01\xb3", ".mpg"),
    (8, b"AVI ", ".avi"),
    (8, b"WAVE", ".wav"),
    (8, b"WEBP", ".webp"),
    (0, b"OggS", ".ogg"),
    (0, b"fLaC", ".flac"),
    (0, b"ID3", ".mp3"),
    (0, b"\xff\xfb", ".mp3"),
    (0, b"\xff\xf1", ".aac"),
    (0, b"\x89PNG\r\n\x1a\n", ".png"),
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"GIF8", ".gif"),
    (0, b"BM", ".bmp"),
    (0, b"II*\x00", ".tif"),
    (0, b"MM\x00*", ".tif"),
    (0, b"%PDF-", ".pdf"),
)
"""Where which bytes stand, and the ending that files of this kind have."""

_BRANDS = {b"M4A ": ".m4a", b"M4B ": ".m4a", b"qt  ": ".mov", b"heic": ".heic", b"avif": ".avif", b"mif1": ".heic"}
"""What follows `ftyp`; of everything else there it is said MP4."""

_SAME_BYTES = frozenset({".mkv", ".ogg", ".mov", ".mp4", ".mp3"})
"""Kinds whose first bytes others share: the name says more of those."""


def kind_of(name: str, head: bytes) -> FileType | None:
    """What the file `name` that begins with `head` is; None if neither says it.

    The bytes decide, where they are known. A name alone is believed too: whoever looks into the file finds out. A
    document is what it is called, and text must be text.
    """
    ending = PurePath(name).suffix.lower()
    named, found = _BY_NAME.get(ending), _ending(head)
    if found is None:
        return None if named and not _believable(named, head) else named
    by_bytes = _BY_NAME[found]
    if found in _SAME_BYTES and named is not None and named.kind in (VIDEO, AUDIO):
        return named
    return by_bytes


def _ending(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], ".mp4")
    for at, mark, ending in _BY_BYTES:
        if head[at : at + len(mark)] == mark and (at != 8 or head[:4] == b"RIFF"):
            return ending
    return None


def _believable(named: FileType, head: bytes) -> bool:
    """Whether a file with unknown first bytes may be what its name says."""
    if named.kind != DOCUMENT:
        return True
    return named.media_type.startswith("text/") and b"\0" not in head
