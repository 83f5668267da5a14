"""Identifiers: 12 bytes, written as 24 lower-case hex digits, ordered by the time they were made.

Four bytes of seconds since 1970, one of their fraction, four random bytes, three bytes of counter. A batch has
counter 0; its item number `seq` has the same bytes with counter `seq + 1`. So an item's id costs no column and leads
back to its batch.
"""

import secrets
from datetime import datetime

MAX_ITEMS = 0xFFFFFF
"""The most items a batch can have: a counter of three bytes, less the batch's own."""

_DIGITS = frozenset("0123456789abcdef")


def new_id(now: datetime) -> str:
    """A fresh id whose counter is 0; `now` is an aware datetime."""
    seconds = now.timestamp()
    fraction = int(seconds % 1 * 256)
    return f"{int(seconds) & 0xFFFFFFFF:08x}{fraction:02x}{secrets.token_hex(4)}000000"


def first_id(at: datetime) -> bytes:
    """The bytes that no id comes before that is made at `at` or later."""
    return int(at.timestamp()).to_bytes(4) + bytes(8)


def is_id(text: str) -> bool:
    """Whether `text` has the shape of an id: 24 lower-case hex digits."""
    return len(text) == 24 and _DIGITS.issuperset(text)


def item_id(batch: str, seq: int) -> str:
    """The id of item `seq` (0-based) of `batch`."""
    if not 0 <= seq < MAX_ITEMS:
        raise ValueError(f"seq {seq} is outside 0 … {MAX_ITEMS - 1}")
    return f"{batch[:18]}{seq + 1:06x}"


def split_item_id(text: str) -> tuple[str, int] | None:
    """The (batch, seq) an item's id stands for; None if `text` is no item's id."""
    if not is_id(text) or text.endswith("000000"):
        return None
    return f"{text[:18]}000000", int(text[18:], 16) - 1
