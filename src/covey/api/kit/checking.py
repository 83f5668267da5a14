"""The check of an uploaded list, whatever the list is for: in line, and only while somebody waits for its answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from covey.api.kit.context import Context
from covey.calls.intake import CheckedList, IntakeOptions, check


async def checked(ctx: Context, path: Path, options: IntakeOptions) -> CheckedList:
    """Check the list at `path` when it is the workspace's turn.

    Raises BadRequest for what concerns the whole file, TooManyChecks if the line is full, IntakeFailed if the check
    failed, ClientDisconnect if the client went away before its end: then no process is left, and nothing else.
    """
    services = ctx.services
    async with while_connected(ctx.request), services.checks.turn(ctx.workspace):
        return await check(path, options, services.spool)


@asynccontextmanager
async def while_connected(request: Request) -> AsyncIterator[None]:
    """Cancel what is inside if the client goes away. The body must have been read before. Raises ClientDisconnect."""
    try:
        async with asyncio.timeout(None) as limit:
            watch = asyncio.create_task(_expire_when_left(request, limit))
            try:
                yield
            finally:
                watch.cancel()
    except TimeoutError:
        if not limit.expired():
            raise
        raise ClientDisconnect from None


async def _expire_when_left(request: Request, limit: asyncio.Timeout) -> None:
    await left(request)
    limit.reschedule(asyncio.get_running_loop().time())


async def left(request: Request) -> None:
    """Returns when the client has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
