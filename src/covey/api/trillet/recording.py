"""Recordings on the wire: the whole sound, or one range of it, so that a browser can seek (RFC 9110, section 14)."""

import hashlib
import re
from collections.abc import Mapping

from fastapi import Response

from covey.api.documents import TEXTS, Responses, file_answer, said
from covey.api.errors import Answer
from covey.api.trillet import schemas as out
from covey.api.trillet import words
from covey.domain.item import Item

MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
}

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)


def recording_answers() -> Responses:
    """What a route that serves a recording can answer."""
    answers = file_answer(*sorted(set(MEDIA_TYPES.values())))
    part = {**answers[200], "description": TEXTS[206]}
    return {**answers, 206: part, **said(s416=out.Problem)}


def sound_answer(sound: bytes, name: str, item: Item, headers: Mapping[str, str]) -> Response:
    """The recording of `item`, kept as `name`: all of it, or the one range that `headers` ask for.

    Several ranges, and a form that is no range of bytes, are answered with the whole, as the RFC allows.
    """
    suffix = "." + name.rpartition(".")[2]
    tag = f'"{hashlib.sha256(name.encode()).hexdigest()[:32]}"'
    told = {
        "content-disposition": f'inline; filename="{words.call_out(item.batch, item.seq)}{suffix}"',
        "accept-ranges": "bytes",
        "etag": tag,
    }
    asked = _RANGE.fullmatch(headers.get("range", "").strip()) if headers.get("if-range", tag) == tag else None
    kind = MEDIA_TYPES.get(suffix, "application/octet-stream")
    if asked is None or not (asked[1] or asked[2]) or (asked[1] and asked[2] and int(asked[1]) > int(asked[2])):
        return Response(sound, media_type=kind, headers=told)
    first, end = _part(asked[1], asked[2], len(sound))
    if first >= end:
        body: out.Problem = {"error": "range_not_satisfiable", "message": f"The recording has {len(sound):,} bytes"}
        return Answer(body, 416, {"content-range": f"bytes */{len(sound)}", "accept-ranges": "bytes"})
    told["content-range"] = f"bytes {first}-{end - 1}/{len(sound)}"
    return Response(sound[first:end], 206, media_type=kind, headers=told)


def _part(first: str, last: str, length: int) -> tuple[int, int]:
    """The bytes that a range means, the end not included; nothing if it lies behind the end."""
    if not first:
        return max(0, length - int(last)), length
    return int(first), min(int(last) + 1, length) if last else length
