"""What became of what an endpoint is told: its deliveries, and having them sent again."""

from typing import Annotated

from fastapi import Path, Query, Response

from covey.api.context import Ctx
from covey.api.documents import POSTED, WITH_BODY, said
from covey.api.errors import Answer
from covey.api.idempotency import once
from covey.api.routing import new_router
from covey.api.trillet import schemas as out
from covey.api.trillet.fields import moment
from covey.api.trillet.words import BATCH_PREFIX, positive
from covey.api.webhooks.routes import PATH, TAG, EndpointId, find
from covey.api.webhooks.schemas import DeliveryList, Resending, SentAgain, delivery_out
from covey.api.webhooks.signing import Style
from covey.domain.errors import BadRequest, NotFound
from covey.domain.ids import is_id
from covey.domain.webhook import DeliveryState

router = new_router(TAG, PATH)

DeliveryId = Annotated[str, Path(description="A delivery's id")]


@router.get(
    "/{endpointId}/deliveries",
    summary="List deliveries",
    operation_id="listDeliveries",
    responses=said(s200=DeliveryList, s404=out.Problem),
)
async def list_deliveries(
    ctx: Ctx,
    endpointId: EndpointId,
    state: Annotated[DeliveryState | None, Query(description="Only those in this state")] = None,
    batch: Annotated[str | None, Query(description="Only those of this batch")] = None,
    before: Annotated[str | None, Query(description="The `before` of the last page")] = None,
    limit: Annotated[str | None, Query(description="Default 20, at most 100")] = None,
) -> Response:
    """What the endpoint is or was told, newest first."""
    endpoint, size = await find(ctx, endpointId), positive("limit", limit, 20, 100)
    of_batch = batch.removeprefix(BATCH_PREFIX) if batch else None
    for name, given in (("batch", of_batch), ("before", before)):
        if given and not is_id(given):
            raise BadRequest(f"{name}: {given[:40]!r} is no id")
    found = await ctx.services.store.deliveries(
        ctx.workspace, endpoint=endpoint.id, batch=of_batch, state=state, before=before or None, limit=size
    )
    answer: DeliveryList = {"deliveries": [delivery_out(each, Style(endpoint.style)) for each in found]}
    if len(found) == size:
        answer["before"] = found[-1].id
    return Answer(answer)


@router.post(
    "/{endpointId}/deliveries/{deliveryId}/resend",
    summary="Send a delivery again",
    operation_id="resendDelivery",
    responses={**said(s200=SentAgain, s404=out.Problem), **POSTED},
)
async def resend_delivery(ctx: Ctx, endpointId: EndpointId, deliveryId: DeliveryId) -> Response:
    """Sends one delivery again, whatever became of it, with the same id."""
    endpoint = await find(ctx, endpointId)
    missing = NotFound("There is no delivery of this id for this endpoint")
    if not is_id(deliveryId):
        raise missing
    try:
        held = await ctx.services.store.delivery(ctx.workspace, deliveryId)
    except NotFound:
        raise missing from None
    if held.endpoint != endpoint.id:
        raise missing

    async def work(_: str) -> Answer:
        answer: SentAgain = {"count": await ctx.services.store.send_one_again(ctx.workspace, endpoint.id, deliveryId)}
        return Answer(answer)

    return await once(ctx, {}, work)


@router.post(
    "/{endpointId}/resend",
    summary="Send what failed again",
    operation_id="resendFailed",
    responses={**said(s200=SentAgain, s404=out.Problem), **POSTED, **WITH_BODY},
)
async def resend_failed(ctx: Ctx, endpointId: EndpointId, body: Resending) -> Response:
    """Sends everything again that failed since a time. What is older than a delivery may be tried is tried once."""
    endpoint = await find(ctx, endpointId)

    async def work(_: str) -> Answer:
        since = moment("since", body.since)
        answer: SentAgain = {"count": await ctx.services.store.send_again(ctx.workspace, endpoint.id, since)}
        return Answer(answer)

    return await once(ctx, body.model_dump(mode="json"), work)
