"""What the API document says beside what the framework finds by itself: common answers, headers, bodies, and the
document's own form (OpenAPI 3.1)."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, get_args

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from covey import __doc__ as about
from covey.api.kit import schemas
from covey.api.kit.auth import PUBLIC, is_admin
from covey.api.kit.blank import check_query
from covey.api.kit.bodies import LARGE, MOST_VALUES_OF_ITEMS, checked
from covey.api.kit.context import services_of
from covey.api.kit.dialect import Dialects
from covey.api.kit.errors import BodyTooSlow, not_allowed
from covey.api.kit.json_text import MOST_VALUES, Unfit, read_json
from covey.domain.errors import BadRequest

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
    s400=schemas.Problem,
    s401=schemas.Problem,
    s403=schemas.Problem,
    s429=schemas.LimitReached,
    s500=schemas.Problem,
    s503=schemas.Problem,
)
"""What every route behind the door can answer."""

WITH_BODY = said(s408=schemas.Problem, s413=schemas.Problem)
"""What a route that takes a body can answer besides."""

WITH_FILE = {**WITH_BODY, **said(s507=schemas.Problem)}
"""What a route that takes a file can answer besides."""

POSTED = said(s409=schemas.Problem, s422=schemas.Problem)
"""What a route that honours an Idempotency-Key can answer besides."""


def file_answer(*types: str) -> Responses:
    """A 200 whose body is a file of one of these media types."""
    return {
        200: {
            "description": "The file",
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in types},
        }
    }


def describe(routes: Sequence[APIRoute], dialects: Dialects, title: str, version: str) -> dict[str, Any]:
    """The document of these routes, with the headers that the door knows and without answers that never come."""
    from fastapi.openapi.utils import get_openapi

    document = get_openapi(
        title=title, version=version, description=about, routes=routes, license_info={"name": "Apache-2.0"}
    )
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _finish(path, method, operation, key_alone=is_admin(path) or not dialects.of(path).names_workspace)
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SECURITY
    for unused in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(unused, None)
    return document


def _finish(path: str, method: str, operation: dict[str, Any], *, key_alone: bool) -> None:
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422", "")):
        answers.pop("422")
    answers = operation["responses"] = dict(sorted(answers.items()))
    if path in PUBLIC:
        return
    operation["security"] = [{"key": []}] if key_alone else [{"key": [], "workspace": []}]
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


LONGEST_NOTHING = 1024
"""Bytes of a body that says nothing, blanks and all; whoever sends more means something."""


class Route(APIRoute):
    """A route whose answers are kept for the document, until somebody asks for it, that refuses what it would ignore,
    and whose body is read by us: the framework documents it, `checked` reads it.

    What it would ignore are parameters of the query that it does not declare, and a body where it declares none: a
    `scheduledAt` that is sent in the wrong place must not dial now.

    What the framework makes of the answers would take a seventh of the server's memory, and half of its start.
    """

    most_values = MOST_VALUES
    """See `covey.api.kit.json_text`."""
    strict = True
    """Whether it refuses what it would ignore."""

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, responses: Responses | None = None, **options: Any
    ) -> None:
        super().__init__(path, endpoint, **{**options, "response_model": None})
        if self.methods and "GET" in self.methods:
            self.methods.add("HEAD")  # The server leaves the body of its answer out (RFC 9110, 9.3.2).
        self._options = {**options, "responses": responses}

    def documented(self, path: str) -> APIRoute:
        """The route with its answers, at its path with all prefixes."""
        return APIRoute(path, self.endpoint, **self._options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the checks, with a request that reads its body as said above."""
        handler = super().get_route_handler()
        model = self._body_model()
        parameters, takes_body = self._parameters(), model is not None or "requestBody" in (self.openapi_extra or {})

        async def handle(request: Request) -> Response:
            if self.strict:
                _check_names(request.query_params, parameters)
                check_query(request.query_params.multi_items())
                if not takes_body:
                    await _check_no_body(request)
            return await handler(request if model is None else _BodyRequest(request, model, self.most_values))

        return handle

    def _parameters(self) -> list[str]:
        """The names of the query's parameters: those that the framework reads, and those that the endpoint does."""
        read_by_endpoint = (self.openapi_extra or {}).get("parameters", ())
        return [
            *(parameter.alias for parameter in self.dependant.query_params),
            *(parameter["name"] for parameter in read_by_endpoint if parameter["in"] == "query"),
        ]

    def _body_model(self) -> type[BaseModel] | None:
        if self.body_field is None:
            return None
        kind = self.body_field.field_info.annotation
        models = [one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, BaseModel)]
        (model,) = models
        return model


class ItemsRoute(Route):
    """A route that takes lists of analyses."""

    most_values = MOST_VALUES_OF_ITEMS


class ProbeRoute(Route):
    """A route that is asked by probes and balancers, which send parameters of their own (`/readyz?verbose`)."""

    strict = False


def _check_names(names: Iterable[str], known: Sequence[str]) -> None:
    """Raises BadRequest for the first name that is not known."""
    for name in names:
        if name not in known:
            there_are = f"there are {', '.join(known)}" if known else "this route takes none"
            message = f"{name[:100]}: there is no such query parameter; {there_are}"
            raise BadRequest(message, code="unknown_parameter")


async def _check_no_body(request: Request) -> None:
    """Raises BadRequest for a body that says something: anything but an empty one, `{}` and `null`, as generated
    clients send them. A request without a body is not waited for: its client may be gone, and it was meant."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST_NOTHING:
                raise ValueError
        says_nothing = not body.strip() or read_json(bytes(body)) in (None, {})
    except (BodyTooSlow, Unfit, ValueError):
        says_nothing = False
    if not says_nothing:
        message = "This route takes no body, and what one says would be ignored; send none"
        raise BadRequest(message, code="no_body_taken")


class _BodyRequest(Request):
    """A request whose JSON is the checked model; the framework takes it as it is."""

    def __init__(self, request: Request, model: type[BaseModel], most_values: int) -> None:
        super().__init__(request.scope, request.receive, request._send)
        self._model = model
        self._most_values = most_values

    async def json(self) -> Any:
        """The model; None for a null. Raises JSONDecodeError, BodyUnfit."""
        body = await self.body()
        if len(body) < LARGE:
            return checked(body, self._model, self._most_values)
        return await services_of(self).heavy.run(checked, body, self._model, self._most_values)


def new_router(tag: str, prefix: str = "", answers: Responses = COMMON, route_class: type[Route] = Route) -> APIRouter:
    """A router whose routes share these answers."""
    return APIRouter(prefix=prefix, tags=[tag], responses=answers, redirect_slashes=False, route_class=route_class)


class LiteralPaths:
    """In front of the framework: a path without parameters takes its own methods only. The framework would try the
    others with a route whose parameter fits it, as `DELETE …/template` with the one that cancels a batch."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._methods: dict[str, set[str]] = {}
        for one in iter_route_contexts(app.routes):
            if one.path and "{" not in one.path and isinstance(one.original_route, APIRoute):
                self._methods.setdefault(one.path, set()).update(one.original_route.methods or ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods = self._methods.get(scope["path"]) if scope["type"] == "http" else None
        if methods is None or scope["method"] in methods:
            await self._app(scope, receive, send)
        else:
            await not_allowed(scope["state"]["dialect"], scope["path"], methods)(scope, receive, send)


def documented(app: FastAPI) -> list[APIRoute]:
    """Every route of the application that is documented, with its answers."""
    contexts = iter_route_contexts(app.routes)
    return [one.original_route.documented(one.path or "") for one in contexts if isinstance(one.original_route, Route)]
