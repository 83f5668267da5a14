"""Base64 that a client sent, decoded a piece at a time: one call for 30 MB would hold the interpreter for 100 ms."""

import binascii
from collections.abc import Iterator

PIECE = 4 * 256 * 1024
"""Characters that are decoded at once."""


def decoded(text: str) -> Iterator[bytes]:
    """The bytes of a base64 text (RFC 4648 section 4, with its padding), in pieces. Raises ValueError where it is
    none."""
    for begin in range(0, len(text), PIECE):
        piece = text[begin : begin + PIECE]
        if begin + PIECE < len(text) and piece.endswith("="):
            raise ValueError("there is padding before the end")
        yield binascii.a2b_base64(piece, strict_mode=True)
