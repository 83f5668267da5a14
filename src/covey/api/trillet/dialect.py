"""Trillet's API as a dialect: the second names of its routes, and how large a list of numbers may be.

Its errors have the form of Covey's own.
"""

import re

from covey.api.kit.dialect import Dialect
from covey.api.kit.openapi import POSTED as POSTED_ANYWHERE
from covey.api.kit.openapi import said
from covey.api.trillet.schemas import DuplicateBatch

PREFIX = "/v1/api/batch-calls"

SECOND_NAMES = {
    "/v1/batch-calls": PREFIX,
    "/v1/api/call-history": "/v2/api/call-history",
    "/v1/call": "/v1/api/call",
    "/api/v1/calls/send": "/v1/api/call",
}
"""Paths under which clients know a route too, and the documented one."""

POSTED = {**POSTED_ANYWHERE, **said(s409=DuplicateBatch)}
"""What a route that honours an Idempotency-Key can answer besides."""

_SECOND = re.compile("(" + "|".join(SECOND_NAMES) + ")(?=/|$)")


class Trillet(Dialect):
    """Trillet's batch calls."""

    prefix = PREFIX
    lists = re.compile(rf"{PREFIX}(/validate)?")

    def documented_path(self, path: str) -> str:
        """The documented path of a route that clients also know by another."""
        second = _SECOND.match(path)
        return SECOND_NAMES[second[1]] + path[second.end() :] if second else path
