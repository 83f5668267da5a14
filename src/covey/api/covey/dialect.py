"""Covey's own routes as a dialect."""

import re

from covey.api.kit.dialect import Dialect


class Covey(Dialect):
    """Covey's own API."""

    lists = re.compile("/v1/api/dnc/import")
