"""What became of a batch whose request ended without an answer."""

from contextlib import suppress

from covey.api.kit.context import Context
from covey.domain.batch import Batch
from covey.domain.errors import NotFound


async def made(ctx: Context, ident: str) -> Batch | None:
    """The batch that a request made before it ended without an answer; None if it never will be one.

    Giving up its draft comes after everything that request had the database do, so what is no batch after that never
    becomes one.
    """
    with suppress(NotFound):
        return await ctx.services.store.batch(ident, ctx.workspace)
    await ctx.services.store.discard(ident)
    with suppress(NotFound):
        return await ctx.services.store.batch(ident, ctx.workspace)
    return None
