"""Single calls, and the history of all calls (contract sections 10.2 and 10.3)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from covey.client.models import StartedCall
from covey.client.reading import items
from covey.client.transport import Json, Transport


class Calls:
    """Calls beside batches."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def start(
        self,
        to: str,
        agent_id: str,
        variables: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        callback_url: str | None = None,
    ) -> StartedCall:
        """Place one call. `variables` fill the agent's placeholders."""
        body: Json = {"to": to, "call_agent_id": agent_id, "dynamic_variables": dict(variables or {})}
        if metadata:
            body["metadata"] = dict(metadata)
        if callback_url is not None:
            body["callback_url"] = callback_url
        return await self._transport.get(StartedCall, "/v1/api/call", "POST", json=body)

    async def history(self, **filters: str | int) -> AsyncIterator[Json]:
        """Every call that fits, newest first, fetched page by page. `filters` are the documented query fields."""
        page = 1
        while True:
            found = await self._transport.json(
                "GET", "/v2/api/call-history", params={**filters, "page": page, "limit": 100}
            )
            calls = items(found if isinstance(found, list) else found.get("calls"))
            for call in calls:
                yield call
            if len(calls) < 100:
                return
            page += 1

    async def one(self, call_id: str) -> Json:
        """One call of the history."""
        return dict(await self._transport.json("GET", f"/v2/api/call-history/{call_id}"))
