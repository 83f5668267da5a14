"""Webhooks and usage of a workspace."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from covey.client.reading import items
from covey.client.transport import Json, Transport

WEBHOOKS = "/v1/api/webhooks"
USAGE = "/v1/api/usage"


class Webhooks:
    """Where the workspace is told what happens. Answers are the server's JSON objects."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> list[Json]:
        """Every endpoint."""
        found = await self._transport.json("GET", WEBHOOKS)
        return items(found.get("endpoints") if isinstance(found, dict) else found)

    async def create(self, url: str, events: Sequence[str] = (), *, style: str = "standard", **more: Any) -> Json:
        """Create an endpoint; its `secret` is in this answer and never again."""
        body: Json = {"url": url, "style": style, **more}
        if events:
            body["events"] = list(events)
        return dict(await self._transport.json("POST", WEBHOOKS, json=body))

    async def get(self, endpoint: str) -> Json:
        return dict(await self._transport.json("GET", _under(endpoint)))

    async def change(self, endpoint: str, **changes: Any) -> Json:
        """Change `url`, `events`, `description` or `disabled`."""
        return dict(await self._transport.json("PATCH", _under(endpoint), json=changes))

    async def delete(self, endpoint: str) -> None:
        await self._transport.json("DELETE", _under(endpoint))

    async def rotate(self, endpoint: str) -> Json:
        """A new secret, in this answer and never again; the old one is valid beside it for a while."""
        return dict(await self._transport.json("POST", _under(endpoint, "rotate"), json={}))

    async def test(self, endpoint: str) -> Json:
        """Send one event now; what came of it."""
        return dict(await self._transport.json("POST", _under(endpoint, "test"), json={}))

    async def deliveries(self, endpoint: str, *, state: str | None = None, limit: int = 20) -> Sequence[Json]:
        """The newest deliveries."""
        params: Json = {"limit": limit, **({"state": state} if state is not None else {})}
        found = await self._transport.json("GET", _under(endpoint, "deliveries"), params=params)
        return items(found.get("deliveries"))

    async def resend(self, endpoint: str, delivery: str | None = None, *, since: datetime | None = None) -> Json:
        """Send one delivery again, or all that failed since a time."""
        if delivery is not None:
            return dict(await self._transport.json("POST", _under(endpoint, "deliveries", delivery, "resend"), json={}))
        body = {"since": since.astimezone().isoformat()} if since else {}
        return dict(await self._transport.json("POST", _under(endpoint, "resend"), json=body))


class Usage:
    """What the workspace used."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, since: date | None = None, until: date | None = None, by: Sequence[str] = ("day",)) -> Json:
        """Sums from `since` to `until` (UTC, both included), apart by `day`, `batch` and `key` as asked."""
        params: Json = {"by": ",".join(by)}
        params |= {name: day.isoformat() for name, day in (("since", since), ("until", until)) if day}
        return dict(await self._transport.json("GET", USAGE, params=params))


def _under(*parts: str) -> str:
    return "/".join([WEBHOOKS, *(quote(part, safe="") for part in parts)])
