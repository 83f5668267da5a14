"""The `callback_url` of a single call: an endpoint for this one batch, which goes with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from covey.api.kit.context import Context
from covey.api.webhooks.secrets import callback_record
from covey.api.webhooks.signing import Style
from covey.domain.errors import BadRequest, NotFound, Unavailable
from covey.domain.ids import new_id
from covey.domain.webhook import ENDED_EVENTS, Endpoint
from covey.engine.submission import settled
from covey.fetch import FetchRefused


@asynccontextmanager
async def callback_endpoint(ctx: Context, batch: str, url: str | None) -> AsyncIterator[None]:
    """Submit a batch inside this block: `url` (None: nobody) is told of its end. If it is refused, nothing is left.

    Raises BadRequest if there is nothing to keep the secret with that signs what is told.
    """
    if url is None:
        yield
        return
    store, now = ctx.services.store, ctx.services.clock.now()
    await callback_record(store, ctx.services.sealer, ctx.workspace, now)
    endpoint = Endpoint(
        id=new_id(now),
        workspace=ctx.workspace,
        url=url,
        style=Style.standard.value,
        events=ENDED_EVENTS,
        secrets=(),
        created_at=now,
        batch=batch,
        singles=True,
    )
    await settled(store.put_endpoint(endpoint))
    try:
        yield
    except BaseException:
        with suppress(Unavailable):
            await settled(_forget_refused(ctx, batch, endpoint.id))
        raise


async def _forget_refused(ctx: Context, batch: str, endpoint: str) -> None:
    """Remove the endpoint unless its batch was made all the same."""
    try:
        await ctx.services.store.batch(batch, ctx.workspace)
    except NotFound:
        with suppress(NotFound):
            await ctx.services.store.delete_endpoint(ctx.workspace, endpoint)


def check_address(ctx: Context, field: str, url: str) -> None:
    """Raises BadRequest if nothing may be sent to this URL."""
    try:
        ctx.services.fetcher.check(url)
    except FetchRefused as error:
        raise BadRequest(f"{field}: {error.message}", code="address_refused") from None
