"""What the API document says beside what the framework finds by itself: common answers, headers, bodies, and the
document's own form (OpenAPI 3.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.routing import APIRoute

from covey import __doc__ as about
from covey.api.auth import PUBLIC, is_admin
from covey.api.trillet import schemas as out
from covey.api.twelvelabs import shapes

Responses = dict[int | str, dict[str, Any]]

TEXTS = {
    200: "Done",
    201: "Made",
    202: "Taken; it goes on by itself",
    204: "Done; nothing to say",
    206: "The range that was asked for",
    400: "The request is not valid; the message says what, where, and what would be right",
    401: "The API key is missing, unknown, expired or revoked",
    403: "The API key may not do this, or belongs to another workspace",
    404: "There is nothing of this id in the workspace",
    408: "The body did not arrive in time",
    409: "The state of things does not allow this, or an equal request is still running",
    413: "The body is larger than the limit",
    416: "The file ends before the range that was asked for",
    422: "The Idempotency-Key came before with another meaning",
    429: "Too many requests; `Retry-After` says when to ask again",
    500: "Something went wrong inside the server; the log has it under the request's id",
    503: "The database cannot answer now; asking again is safe",
    504: "The time for an answer was over",
    507: "The server has no room for the file now",
}

_SECURITY = {
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "A key of the workspace"},
    "workspace": {
        "type": "apiKey",
        "in": "header",
        "name": "x-workspace-id",
        "description": "The workspace that the key belongs to",
    },
}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Equal requests with one key are done once, for 24 hours",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


def said(**models: Any) -> Responses:
    """Answers by status: `said(s200=BatchStatus, s404=BatchNotFound)`."""
    return {int(name[1:]): {"model": model, "description": TEXTS[int(name[1:])]} for name, model in models.items()}


COMMON = said(
    s400=out.Problem, s401=out.Problem, s403=out.Problem, s429=out.LimitReached, s500=out.Problem, s503=out.Problem
)
"""What every route behind the door can answer."""

WITH_BODY = said(s408=out.Problem, s413=out.Problem)
"""What a route that takes a body can answer besides."""

WITH_FILE = {**WITH_BODY, **said(s507=out.Problem)}
"""What a route that takes a file can answer besides."""

POSTED = said(s409=out.DuplicateBatch, s422=out.Problem)
"""What a route that honours an Idempotency-Key can answer besides."""


def file_answer(*types: str) -> Responses:
    """A 200 whose body is a file of one of these media types."""
    return {
        200: {
            "description": "The file",
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in types},
        }
    }


def describe(routes: Sequence[APIRoute], title: str, version: str) -> dict[str, Any]:
    """The document of these routes, with the headers that the door knows and without answers that never come."""
    from fastapi.openapi.utils import get_openapi

    document = get_openapi(
        title=title, version=version, description=about, routes=routes, license_info={"name": "Apache-2.0"}
    )
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _finish(path, method, operation)
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SECURITY
    for unused in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(unused, None)
    return document


def _finish(path: str, method: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422", "")):
        answers.pop("422")
    answers = operation["responses"] = dict(sorted(answers.items()))
    if path in PUBLIC:
        return
    alone = is_admin(path) or shapes.speaks(path)
    operation["security"] = [{"key": []}] if alone else [{"key": [], "workspace": []}]
    if method == "post" and not path.endswith("/export-csv"):  # which only reads
        operation.setdefault("parameters", []).append(_IDEMPOTENCY)
    for status, answer in answers.items():
        if status in ("429", "503"):
            answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}


def parameters(**texts: str) -> dict[str, Any]:
    """Query parameters that a route reads by itself, for `openapi_extra`."""
    return {
        "parameters": [
            {
                "name": name.rstrip("_"),
                "in": "query",
                "required": False,
                "description": text,
                "schema": {"type": "string"},
            }
            for name, text in texts.items()
        ]
    }


def multipart(fields: Mapping[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    """A multipart body that a route reads by itself, for `openapi_extra`."""
    schema = {"type": "object", "properties": dict(fields), "required": list(required), "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
