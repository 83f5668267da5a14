"""Prices of a workspace, and calls that end."""

from typing import Any

from tests.api.house import House

PRICES = {"calls": {"perItem": "0.5", "perSecond": "0.01"}}


async def settle(house: House, **settings: Any) -> Any:
    """Change the workspace's settings; the answer."""
    headers = house.headers("admin")
    return await house.client.patch("/v1/admin/workspaces/ws-one", json={"settings": settings}, headers=headers)
