"""Covey's own routes as a dialect."""

import re

from covey.api.kit.dialect import Allowance, Dialect, list_allowance
from covey.settings import Settings

_LISTS = re.compile("/v1/api/dnc/import")


class Covey(Dialect):
    """Covey's own API."""

    def allowance(self, settings: Settings, method: str, path: str) -> Allowance:
        """A do-not-call list may be large, and take its time to come."""
        is_list = method == "POST" and _LISTS.fullmatch(path.rstrip("/"))
        return list_allowance(settings) if is_list else super().allowance(settings, method, path)
