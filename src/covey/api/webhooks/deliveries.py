"""What became of what an endpoint was sent: its deliveries, and having them sent again."""

from typing import Annotated, Literal

from fastapi import Path, Query, Response

from covey.api.kit import schemas
from covey.api.kit.context import Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.formats import iso, moment, positive
from covey.api.kit.idempotency import idempotent
from covey.api.kit.openapi import POSTED, WITH_BODY, new_router, said
from covey.api.trillet.convert import BATCH_PREFIX, batch_out, call_out
from covey.api.webhooks.routes import PATH, TAG, EndpointId, find
from covey.api.webhooks.schemas import DeliveryList, DeliveryOut, Resending, SentAgain, maybe_iso
from covey.api.webhooks.signing import Style, message_id
from covey.calls.config import KIND as CALLS
from covey.domain.errors import BadRequest, NotFound
from covey.domain.ids import is_id, item_id
from covey.domain.webhook import Delivery, DeliveryState

router = new_router(TAG, PATH)

DeliveryId = Annotated[str, Path(description="A delivery's id")]


@router.get(
    "/{endpointId}/deliveries",
    summary="List deliveries",
    operation_id="listDeliveries",
    responses=said(s200=DeliveryList, s404=schemas.Problem),
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
    responses={**said(s200=SentAgain, s404=schemas.Problem), **POSTED},
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

    return await idempotent(ctx, {}, work)


@router.post(
    "/{endpointId}/resend",
    summary="Send what failed again",
    operation_id="resendFailed",
    responses={**said(s200=SentAgain, s404=schemas.Problem), **POSTED, **WITH_BODY},
)
async def resend_failed(ctx: Ctx, endpointId: EndpointId, body: Resending) -> Response:
    """Sends everything again that failed since a time. Deliveries past the retry limit are retried once."""
    endpoint = await find(ctx, endpointId)

    async def work(_: str) -> Answer:
        since = moment("since", body.since)
        answer: SentAgain = {"count": await ctx.services.store.send_again(ctx.workspace, endpoint.id, since)}
        return Answer(answer)

    return await idempotent(ctx, body.model_dump(mode="json"), work)


def delivery_out(delivery: Delivery, style: Style) -> DeliveryOut:
    """A delivery as the wire has it."""
    calls = delivery.data.get("kind") == CALLS
    found: DeliveryOut = {
        "id": delivery.id,
        "messageId": message_id(style, delivery.id),
        "type": delivery.type,
        "batchId": batch_out(delivery.batch) if calls else delivery.batch,
        "state": _state(delivery),
        "attempts": delivery.attempts,
        "at": iso(delivery.at),
        "nextAt": maybe_iso(delivery.next_at),
        "status": delivery.status,
        "error": delivery.error,
        "endedAt": maybe_iso(delivery.ended_at),
    }
    if delivery.seq is not None:
        ident = call_out if calls else item_id
        found["itemId"] = ident(delivery.batch, delivery.seq)
    return found


def _state(delivery: Delivery) -> Literal["waiting", "delivered", "failed", "skipped"]:
    """What was delivered without an answer was never sent: its endpoint had not asked for it."""
    if delivery.state is DeliveryState.delivered:
        return "skipped" if delivery.status is None else "delivered"
    return "waiting" if delivery.state is DeliveryState.waiting else "failed"
