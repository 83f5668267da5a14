"""Routers of this API, and what all their routes may answer."""

from fastapi import APIRouter

from covey.api.documents import TEXTS, Responses, said
from covey.api.routing import ItemsRoute, new_router
from covey.api.twelvelabs import schemas as out
from covey.api.twelvelabs import shapes

PREFIX = shapes.PREFIX

_EVERYWHERE = said(s401=out.Both, s403=out.Both, s503=out.Nested, s504=out.Nested)


def nested(*statuses: int) -> Responses:
    """Errors of the batch routes."""
    return {status: {"model": out.Nested, "description": TEXTS[status]} for status in statuses}


def flat(*statuses: int) -> Responses:
    """Errors of all other routes."""
    return {status: {"model": out.Problem, "description": TEXTS[status]} for status in statuses}


def batch_router() -> APIRouter:
    """A router of the batch routes."""
    answers = {**_EVERYWHERE, **nested(400, 429, 500)}
    return new_router("Analysis batches", answers=answers, route_class=ItemsRoute)


def family(tag: str) -> APIRouter:
    """A router of other routes."""
    answers = {**_EVERYWHERE, **flat(400, 429, 500)}
    return new_router(tag, answers=answers, route_class=ItemsRoute)
