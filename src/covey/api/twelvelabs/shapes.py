"""How the routes under /v1.3 tell errors (`docs/contracts/twelvelabs.md` 13.6), by the path that was asked.

nested    {"error": {"code", "message", "details"?}}     batches; and 503 and 504 everywhere: the SDKs need it
flat      {"code", "message", "details"?}                everything else
both      401 and 403
"""

from fastapi import APIRouter

from covey.api.kit.openapi import TEXTS, ItemsRoute, Responses, new_router, said
from covey.api.twelvelabs import dialect
from covey.api.twelvelabs import schemas as out

PREFIX = dialect.PREFIX

_EVERYWHERE = said(s401=out.Both, s403=out.Both, s503=out.Nested, s504=out.Nested)


def nested(*statuses: int) -> Responses:
    """Errors of the batch routes."""
    return {status: {"model": out.Nested, "description": TEXTS[status]} for status in statuses}


def flat(*statuses: int) -> Responses:
    """Errors of all other routes."""
    return {status: {"model": out.Flat, "description": TEXTS[status]} for status in statuses}


def batch_router() -> APIRouter:
    """A router of the batch routes."""
    answers = {**_EVERYWHERE, **nested(400, 429, 500)}
    return new_router("Analysis batches", answers=answers, route_class=ItemsRoute)


def family(tag: str) -> APIRouter:
    """A router of other routes."""
    answers = {**_EVERYWHERE, **flat(400, 429, 500)}
    return new_router(tag, answers=answers, route_class=ItemsRoute)
