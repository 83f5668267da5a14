"""The prefix of the batch family, and the second names that some routes have."""

import re

PREFIX = "/v1/api/batch-calls"

SECOND_NAMES = {
    "/v1/batch-calls": PREFIX,
    "/v1/api/call-history": "/v2/api/call-history",
    "/v1/call": "/v1/api/call",
    "/api/v1/calls/send": "/v1/api/call",
}
"""Paths under which clients know a route too, and the documented one."""

_SECOND = re.compile("(" + "|".join(SECOND_NAMES) + ")(?=/|$)")


def first_name(path: str) -> str:
    """The documented path of a request, whichever of its names was asked for."""
    second = _SECOND.match(path)
    return SECOND_NAMES[second[1]] + path[second.end() :] if second else path
