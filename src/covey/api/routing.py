"""Routes and routers. Handlers make their answers by themselves; the framework only documents these."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from covey.api.documents import COMMON, Responses


class Route(APIRoute):
    """A route whose answers are kept for the document, until somebody asks for it.

    What the framework makes of them would take a seventh of the server's memory, and half of its start.
    """

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, responses: Responses | None = None, **given: Any
    ) -> None:
        super().__init__(path, endpoint, **{**given, "response_model": None})
        self._given = {**given, "responses": responses}

    def documented(self, path: str) -> APIRoute:
        """The route with its answers, at its path with all prefixes."""
        return APIRoute(path, self.endpoint, **self._given)


def new_router(tag: str, prefix: str = "", answers: Responses = COMMON, route_class: type[Route] = Route) -> APIRouter:
    """A router whose routes share these answers."""
    return APIRouter(prefix=prefix, tags=[tag], responses=answers, redirect_slashes=False, route_class=route_class)


def documented(app: FastAPI) -> list[APIRoute]:
    """Every route of the application that is documented, with its answers."""
    contexts = iter_route_contexts(app.routes)
    return [one.original_route.documented(one.path or "") for one in contexts if isinstance(one.original_route, Route)]
