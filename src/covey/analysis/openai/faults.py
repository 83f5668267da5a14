"""What went wrong at an OpenAI-compatible endpoint, in the words of `covey.analysis.backend`.

The table is `docs/models.md`. One answer never proves whether an endpoint or one input is broken (promise 7 of the
design), so a fault says only what is known. No text from here holds a key, a prompt or a picture.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx2
import openai

from covey.analysis.backend import Busy, Down, PerhapsBroken, Refused

TIMEOUT = "model_timeout"
ERROR = "model_error"
REFUSED_INPUT = "model_refused_input"
MALFORMED = "model_reply_malformed"
KEY_REFUSED = "model_key_refused"

WAIT_SECONDS = 5.0
"""How long an endpoint is left alone that says it is busy, and not for how long."""

LONGEST_WAIT_SECONDS = 3600.0

_ABOUT_THE_ENDPOINT = frozenset({402, 404, 405, 407, 410, 426})
"""Account, path or model name: these meet every input alike."""

_UNPAID = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""Codes of a 429 that no wait mends."""

_RESETS = ("requests", "tokens")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")
_DATA_URL = re.compile(r"data:[^\s\"']*")
_LONGEST_TEXT = 300


def fault_of(error: openai.APIError, whom: str, key: str | None) -> Exception:
    """The exception to raise for what the SDK raised. `whom` names the endpoint in sentences."""
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, whom, key)
    if isinstance(error, openai.APITimeoutError):
        if isinstance(error.__cause__, httpx2.ConnectTimeout | httpx2.PoolTimeout):
            return Down(f"{whom} could not be reached in time")
        return timed_out(whom)
    if isinstance(error, openai.APIConnectionError):
        kind = type(error.__cause__).__name__
        return Down(f"{whom} could not be reached, or broke off: {kind}")
    return malformed(whom)


def timed_out(whom: str) -> PerhapsBroken:
    """The endpoint did not answer in time; this input may be why, or it may be slow for everybody."""
    return PerhapsBroken(TIMEOUT, f"{whom} did not answer in time.")


def malformed(whom: str, body: bytes = b"") -> PerhapsBroken:
    """What came with a 200 is no chat completion, or no transcription."""
    if body.lstrip()[:1] == b"<":
        said = f"{whom} answered with a web page, as something else does at a wrong address or behind a sign-in."
        return PerhapsBroken(MALFORMED, said)
    return PerhapsBroken(MALFORMED, f"{whom} answered something that is not what its API promises.")


def too_long(whom: str, most: int) -> PerhapsBroken:
    """What came with a 200 is longer than any answer."""
    return PerhapsBroken(MALFORMED, f"{whom} answered more than {most:,} bytes; the rest was not read.")


def _of_status(error: openai.APIStatusError, whom: str, key: str | None) -> Exception:
    status, headers = error.status_code, error.response.headers
    if status == 429 and not _UNPAID & {error.code, error.type}:
        return Busy(f"{whom} is busy (429)", seconds_to_wait(headers))
    if status in (503, 529) and "retry-after" in headers:
        return Busy(f"{whom} is busy ({status})", seconds_to_wait(headers))
    if status == 408:
        return timed_out(whom)
    if status == 500:
        return PerhapsBroken(ERROR, f"{whom} failed on this input, or altogether (500).")
    if status in (401, 403):
        if key:
            return Down(f"{whom} refused the key that is set for it ({status})", KEY_REFUSED)
        return Down(f"{whom} wants a key, and none is set for it ({status})", KEY_REFUSED)
    if status in _ABOUT_THE_ENDPOINT or status == 429 or status >= 500 or status < 400:
        return Down(f"{whom} answered {status}")
    said = _said(error.body, key)
    return Refused(REFUSED_INPUT, f"{whom} refused this input ({status})" + (f": {said}" if said else "."))


def _said(body: object, key: str | None) -> str:
    """The endpoint's own sentence about a refused input, short, without pictures and keys."""
    if not isinstance(body, Mapping):
        return ""
    text = body.get("message") or body.get("detail") or body.get("error")
    if not isinstance(text, str):
        return ""
    if key:
        text = text.replace(key, "[hidden]")
    text = " ".join(_DATA_URL.sub("[data]", text).replace("\0", "").split())
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def seconds_to_wait(headers: Mapping[str, str]) -> float:
    """Until when a busy endpoint asks to be left alone, in seconds from now, at most an hour.

    `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3), `retry-after-ms`, else the latest of the
    `x-ratelimit-reset…` whose quota is used up. Dates are read against the reply's own `Date`, so that no clock but
    the endpoint's counts.
    """
    now = _date(headers.get("date"))
    wait = _milliseconds(headers.get("retry-after-ms"))
    if wait is None:
        wait = _retry_after(headers.get("retry-after"), now)
    if wait is None:
        wait = _reset(headers, now)
    if wait is None:
        return WAIT_SECONDS
    return min(max(wait, 0.0), LONGEST_WAIT_SECONDS)


def _retry_after(text: str | None, now: float | None) -> float | None:
    seconds = _number(text)
    if seconds is not None:
        return seconds
    then = _date(text)
    return None if then is None or now is None else then - now


def _reset(headers: Mapping[str, str], now: float | None) -> float | None:
    waits = [_until(headers.get("x-ratelimit-reset"), now)]
    for of in _RESETS:
        if (_number(headers.get(f"x-ratelimit-remaining-{of}")) or 0) <= 0:
            waits.append(_until(headers.get(f"x-ratelimit-reset-{of}"), now))
    known = [wait for wait in waits if wait is not None]
    return max(known) if known else None


def _until(text: str | None, now: float | None) -> float | None:
    """Seconds, from a duration (`6m0s`), a number of seconds, or a moment in seconds or milliseconds since 1970."""
    if not text:
        return None
    number = _number(text)
    if number is None:
        return _duration(text)
    if number < 1e9:
        return number
    moment = number / 1000 if number > 1e11 else number
    return None if now is None else moment - now


def _duration(text: str) -> float | None:
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds, milliseconds = (_number(part) or 0.0 for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _milliseconds(text: str | None) -> float | None:
    number = _number(text)
    return None if number is None else number / 1000


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < 1e15 else None


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
