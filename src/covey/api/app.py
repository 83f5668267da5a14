"""The application: the middleware, and behind it the routes of each dialect. The one place that knows them all."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Response
from starlette.types import ASGIApp

from covey import private
from covey.api.covey import admin, blocklists, health, people, trunks, usage, workers
from covey.api.covey.dialect import Covey
from covey.api.kit import errors
from covey.api.kit import openapi as documents
from covey.api.kit.auth import Authenticator
from covey.api.kit.dialect import Dialects
from covey.api.kit.errors import Answer
from covey.api.kit.openapi import LiteralPaths, ProbeRoute, documented
from covey.api.kit.reference import html
from covey.api.kit.services import Services
from covey.api.middleware import RequestGuard
from covey.api.trillet import agents, batches, calls, export, history, single
from covey.api.trillet.dialect import PREFIX as CALLS_PREFIX
from covey.api.trillet.dialect import Trillet
from covey.api.twelvelabs import analyze, assets, multipart, tasks
from covey.api.twelvelabs import batches as analysis_batches
from covey.api.twelvelabs.dialect import PREFIX as ANALYSIS_PREFIX
from covey.api.twelvelabs.dialect import TwelveLabs
from covey.api.webhooks import deliveries
from covey.api.webhooks import routes as webhooks

TITLE = "Covey"
VERSION = "0.1.0"

DIALECTS = Dialects(Covey(), [Trillet(), TwelveLabs()])
FAMILY = (batches.router, export.router, calls.router)


_PAGE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_FOR_ALL = {"cache-control": "max-age=300"}
"""The document is the same for everybody until the next version."""


def create_app(services: Services, app: FastAPI | None = None) -> ASGIApp:
    """The whole API over `services`, ready for an ASGI server. Removes the uploads that an earlier life left behind.

    `app` are routes that were made before; they hold no state, so they may be used again.
    """
    _empty(services.spool)
    limits = services.settings.limits
    gate = Authenticator(
        services.store, services.clock, limits.failed_authentications_per_second, limits.requests_per_minute
    )
    return RequestGuard(LiteralPaths(app or routes()), DIALECTS, gate, services)


def routes() -> FastAPI:
    """The framework's application with every route, and no services yet."""
    app = _without_routes()
    for router in FAMILY:
        app.include_router(router, prefix=CALLS_PREFIX)
    app.include_router(agents.router)
    app.include_router(single.router)
    app.include_router(history.router, prefix=history.PREFIX)
    for router in (history.recordings, people.router, trunks.router, admin.router, workers.router, health.router):
        app.include_router(router)
    for router in (webhooks.router, deliveries.router, usage.router, blocklists.router):
        app.include_router(router)
    for router in (analysis_batches.router, tasks.router, analyze.router, multipart.router, assets.router):
        app.include_router(router, prefix=ANALYSIS_PREFIX)
    app.include_router(_pages(app))
    _prepare(app)
    return app


def health_alone() -> FastAPI:
    """The application of a process that answers only how it is."""
    app = _without_routes()
    app.include_router(health.router)
    return app


def _without_routes() -> FastAPI:
    """The framework's application that speaks of faults as we do."""
    app = FastAPI(title=TITLE, version=VERSION, docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False
    errors.install(app)
    return app


def _prepare(app: FastAPI) -> None:
    """Let the framework build its routes now: it would else do so in the first request, for half a second."""
    nowhere = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": [], "query_string": b""}
    for route in app.routes:
        route.matches(dict(nowhere))


def document() -> bytes:
    """The API document as it is checked in at docs/openapi.json."""
    return orjson.dumps(_described(routes()), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _described(app: FastAPI) -> dict[str, Any]:
    return documents.describe(documented(app), DIALECTS, TITLE, VERSION)


def _pages(app: FastAPI) -> APIRouter:
    router, made = APIRouter(include_in_schema=False, route_class=ProbeRoute), dict[str, bytes]()

    @router.get("/openapi.json")
    async def openapi() -> Response:
        if "json" not in made:
            made["json"] = orjson.dumps(await asyncio.to_thread(_described, app))
        return Answer(None, headers=_FOR_ALL, raw=made["json"])

    @router.get("/docs")
    async def docs() -> Response:
        if "html" not in made:
            made["html"] = html(await asyncio.to_thread(_described, app)).encode()
        return Response(made["html"], media_type="text/html", headers={**_FOR_ALL, "content-security-policy": _PAGE})

    return router


def _empty(spool: Path) -> None:
    private.folder(spool)
    for left in spool.iterdir():
        left.unlink(missing_ok=True)
