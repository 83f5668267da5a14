"""Prices of a workspace, and calls that end."""

from typing import Any

from tests.api.harness import ApiHarness

PRICES = {"calls": {"perItem": "0.5", "perSecond": "0.01"}}


async def settle(api: ApiHarness, **settings: Any) -> Any:
    """Change the workspace's settings; the answer."""
    headers = api.headers("admin")
    return await api.client.patch("/v1/admin/workspaces/ws-one", json={"settings": settings}, headers=headers)
