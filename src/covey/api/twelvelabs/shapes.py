"""How the routes under /v1.3 tell errors (`contracts/twelvelabs.md` 13.6), by the path that was asked.

nested    {"error": {"code", "message", "details"?}}     batches; and 503 and 504 everywhere: the SDKs need it
flat      {"code", "message", "details"?}                everything else
both      401 and 403
"""

import re
from collections.abc import Mapping
from typing import Any

from covey.analysis.looking import TOO_LARGE
from covey.api.faults import told

PREFIX = "/v1.3"
BATCHES = f"{PREFIX}/analyze/batches"
ASSETS = f"{PREFIX}/assets"
UPLOADS = f"{ASSETS}/multipart-uploads"
CHUNK = re.compile(rf"{re.escape(UPLOADS)}/[0-9a-f]{{24}}/chunks/[1-9][0-9]{{0,6}}")
REPORT = re.compile(rf"{re.escape(UPLOADS)}/[0-9A-Fa-f]{{24}}")

CODES = {
    "bad_request": "parameter_invalid",
    "unauthorized": "api_key_invalid",
    "forbidden": "api_not_allowed",
    "not_found": "resource_not_exist",
    "rate_limit_exceeded": "too_many_requests",
    "unknown_parameter": "parameter_unknown",
    "no_body_taken": "parameter_unknown",
    "timeout": "request_canceled_or_timed_out",
    "request_timeout": "request_canceled_or_timed_out",
}
"""The family's words for what the whole server says."""

_BOTH = (401, 403)
_NESTED = (503, 504)


def speaks(path: str) -> bool:
    """Whether a path belongs to this API."""
    return path == PREFIX or path.startswith(PREFIX + "/")


def is_chunk(method: str, path: str) -> bool:
    """Whether a request brings a chunk to its signed address: its route takes no key, but checks the signature before
    it reads a byte."""
    return method == "PUT" and CHUNK.fullmatch(path) is not None


def shaped(path: str, status: int, code: str, message: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """An error's body."""
    if code == "too_large" and path.rstrip("/") == ASSETS:
        code = TOO_LARGE
    error: dict[str, Any] = {"code": CODES.get(code, code), "message": message}
    if details:
        error["details"] = dict(details)
    if status in _BOTH:
        return {"error": error, "code": error["code"], "message": message}
    nested = status in _NESTED or path == BATCHES or path.startswith(BATCHES + "/")
    return {"error": error} if nested else error


def fault(first: Mapping[str, Any]) -> tuple[str, str]:
    """Code and sentence of the first thing that pydantic finds wrong with a request. A required field that is null
    counts as absent."""
    path = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    what = told(first)
    match first["type"]:
        case "json_invalid":
            return "parameter_invalid", f"The body is not valid JSON: {first.get('ctx', {}).get('error', what)}"
        case "extra_forbidden":
            return "parameter_unknown", f"{path}: there is no such parameter"
        case "missing":
            return "parameter_not_provided", f"{path or 'The body'}: it is required"
        case kind if first.get("input") is None and kind.endswith(("_type", "literal_error")):
            return "parameter_not_provided", f"{path or 'The body'}: it is required"
    return "parameter_invalid", f"{path}: {what}" if path else f"The body: {what}"
