"""TwelveLabs' API as a dialect. Errors (docs/contracts/twelvelabs.md 13.6) have three forms, by the path:

nested    {"error": {"code", "message", "details"?}}     batches; and 503 and 504 everywhere: the SDKs need it
flat      {"code", "message", "details"?}                everything else
both      401 and 403
"""

import re
from collections.abc import Mapping
from typing import Any

from covey.analysis.inspection import TOO_LARGE
from covey.analysis.uploads.parts import CHUNK_BYTES
from covey.api.kit.dialect import Allowance, Dialect
from covey.api.kit.validation import validation_message
from covey.settings import Settings

PREFIX = "/v1.3"
BATCHES = f"{PREFIX}/analyze/batches"
TASKS = f"{PREFIX}/analyze/tasks"
WAITED_FOR = f"{PREFIX}/analyze"
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
"""This API's codes for what the whole server says."""

_BOTH = (401, 403)
_NESTED = (503, 504)
_SLOWEST = 100_000
"""Bytes a second: who uploads an asset of the greatest size slower than so does not end in time."""


class TwelveLabs(Dialect):
    """TwelveLabs' batch video analysis. Its SDKs know of no workspaces: the key alone names one."""

    prefix = PREFIX
    names_workspace = False
    dates_limits = False
    timeout_status = 504

    def takes_key(self, method: str, path: str) -> bool:
        """A chunk comes to its signed address: its route checks the signature before it reads a byte."""
        return not (method == "PUT" and CHUNK.fullmatch(path))

    def allowance(self, settings: Settings, method: str, path: str) -> Allowance:
        """What a request may take: files, and questions with files in them, may be large."""
        limits, analysis, usual = settings.limits, settings.analysis, settings.limits.request_seconds
        if not self.takes_key(method, path):
            return Allowance(CHUNK_BYTES, limits.upload_seconds, usual)
        path = path.rstrip("/") if method == "POST" else ""
        encoded = analysis.create_bytes * 4 // 3 + limits.json_bytes
        if path == ASSETS:
            seconds = max(limits.upload_seconds, analysis.direct_bytes / _SLOWEST)
            return Allowance(analysis.direct_bytes + limits.form_overhead_bytes, seconds, usual)
        if REPORT.fullmatch(path):
            return Allowance(limits.json_bytes, usual, limits.upload_seconds + usual)
        if path == BATCHES:
            return Allowance(analysis.create_bytes, limits.upload_seconds, usual)
        if path == TASKS:
            return Allowance(encoded, limits.upload_seconds, usual)
        if path == WAITED_FOR:
            return Allowance(encoded, limits.upload_seconds, analysis.expire_hours * 3600 + usual)
        return super().allowance(settings, method, path)

    def problem(self, path: str, status: int, code: str, message: str, details: Mapping[str, Any]) -> dict[str, Any]:
        """The body of an error."""
        if code == "too_large" and path.rstrip("/") == ASSETS:
            code = TOO_LARGE
        error: dict[str, Any] = {"code": CODES.get(code, code), "message": message}
        if details:
            error["details"] = dict(details)
        if status in _BOTH:
            return {"error": error, "code": error["code"], "message": message}
        nested = status in _NESTED or path == BATCHES or path.startswith(BATCHES + "/")
        return {"error": error} if nested else error

    def limit_reached(self, path: str, code: str, message: str, details: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a 429."""
        return self.problem(path, 429, code, message, details)

    def invalid(self, first: Mapping[str, Any]) -> tuple[str, str]:
        """Code and sentence of the first thing that pydantic finds wrong with a request. A required field that is null
        counts as absent."""
        path = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        what = validation_message(first)
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
