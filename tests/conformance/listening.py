"""Endpoints that listen, and what happens for them to hear of."""

from dataclasses import replace
from typing import Any

from covey.domain.webhook import BATCH_EVENTS, ITEM_EVENTS, Endpoint

from .conftest import Scene

ALL = (*BATCH_EVENTS, *ITEM_EVENTS)


def new_endpoint(scene: Scene, name: str = "hook", **facts: Any) -> Endpoint:
    """An endpoint of workspace `w` that wants to be told of everything, unless told otherwise."""
    ready = {"workspace": "w", "url": "https://example.com/hook", "style": "standard", "events": ALL, **facts}
    return Endpoint(id=name, secrets=((b"sealed", None),), created_at=scene.now, **ready)


async def listens(scene: Scene, name: str = "hook", **facts: Any) -> str:
    """Put such an endpoint; its id."""
    await scene.store.put_endpoint(new_endpoint(scene, name, **facts))
    return name


async def tell(scene: Scene, times: int, workspace: str = "w") -> None:
    """Let so many things happen to a batch of the workspace."""
    batch = await scene.submit(1, workspace=workspace)
    for n in range(times):
        await (scene.store.resume(workspace, batch) if n % 2 else scene.store.pause(workspace, batch, "p"))


async def change(scene: Scene, name: str = "hook", **facts: Any) -> Endpoint:
    return await scene.store.change_endpoint("w", name, lambda held: replace(held, **facts))
