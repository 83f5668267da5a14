"""Routers of the batch family: the same routes under both of its prefixes, the first one documented."""

from fastapi import APIRouter

from covey.api.documents import COMMON

PREFIX = "/v1/api/batch-calls"
ALIAS = "/v1/batch-calls"


def family(tag: str) -> APIRouter:
    """A router whose routes share the common answers; `create_app` mounts it under both prefixes."""
    return APIRouter(tags=[tag], responses=COMMON, redirect_slashes=False)
