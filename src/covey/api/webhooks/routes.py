"""Webhook endpoints of a workspace: where it is told what happens, with which secret, and what became of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
from fastapi import Path, Response

from covey.api.kit import schemas
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.formats import iso
from covey.api.kit.idempotency import idempotent
from covey.api.kit.openapi import POSTED, WITH_BODY, new_router, said
from covey.api.kit.services import Services
from covey.api.webhooks.bodies import rendering
from covey.api.webhooks.callbacks import check_address
from covey.api.webhooks.schemas import (
    TEST,
    EndpointChange,
    EndpointOut,
    NewEndpoint,
    Rotation,
    SecretOut,
    TestResult,
    endpoint_out,
    hidden,
    wanted,
)
from covey.api.webhooks.secrets import callback_record, callbacks_id, fresh_secret, rotated
from covey.api.webhooks.sender import WebhookSender
from covey.api.webhooks.signing import Style, message_id
from covey.domain.errors import NotFound
from covey.domain.ids import is_id, new_id
from covey.domain.webhook import Delivery, DeliveryState, Endpoint
from covey.store.results import Due

PATH, TAG = "/v1/api/webhooks", "Webhooks"

router = new_router(TAG, PATH)

EndpointId = Annotated[str, Path(description="An endpoint's id")]

BY_HAND = "switched off over the API"

_ONE: Any = said(s200=EndpointOut, s404=schemas.Problem)


def sender_of(services: Services) -> WebhookSender:
    """What sends deliveries."""
    bodies = rendering(services.store)
    return WebhookSender(services.store, services.fetcher, services.sealer, bodies, services.settings.webhooks)


async def find(ctx: Context, ident: str) -> Endpoint:
    """The workspace's endpoint of this id. Raises NotFound; those of single calls are not shown."""
    missing = NotFound("There is no webhook endpoint of this id in the workspace")
    if not is_id(ident) or ident == callbacks_id(ctx.workspace):
        raise missing
    try:
        found = await ctx.services.store.endpoint(ctx.workspace, ident)
    except NotFound:
        raise missing from None
    if found.batch is not None:
        raise missing
    return found


@router.get("", summary="List webhook endpoints", operation_id="listEndpoints", responses=said(s200=list[EndpointOut]))
async def list_endpoints(ctx: Ctx) -> Response:
    """Every endpoint, oldest first."""
    found = await ctx.services.store.endpoints(ctx.workspace)
    return Answer([endpoint_out(each) for each in found if each.id != callbacks_id(ctx.workspace)])


@router.post(
    "",
    summary="Create a webhook endpoint",
    operation_id="createEndpoint",
    responses={**said(s200=EndpointOut), **POSTED, **WITH_BODY},
)
async def create_endpoint(ctx: Ctx, body: NewEndpoint) -> Response:
    """Makes an endpoint; `secret` is in this answer and nowhere else. A replayed answer has null there.

    Style `standard` is signed as Standard Webhooks say, style `twelvelabs` with `TL-Signature: t=…,v1=…`, the hex
    HMAC-SHA256 of `t + "." + body` with the secret's whole text as the key. A receiver answers 2xx within the timeout;
    anything else is tried again for 24 hours, 410 switches the endpoint off.
    """
    now = ctx.services.clock.now()
    asks = wanted(body.style, body.events, body.kind)
    check_address(ctx, "url", body.url)

    async def work(ident: str) -> Answer:
        bare = Endpoint(
            id=ident,
            workspace=ctx.workspace,
            url=body.url,
            style=body.style.value,
            events=asks.events,
            secrets=(),
            created_at=now,
            description=body.description,
            kind=asks.kind,
            singles=asks.singles,
        )
        secret, sealed = fresh_secret(ctx.services.sealer, bare)
        new = replace(bare, secrets=((sealed, None),))
        there = await ctx.services.store.put_endpoint(new, ctx.services.settings.webhooks.endpoints)
        return _shown_once({**endpoint_out(there), "secret": secret})

    async def recover(ident: str) -> Answer | None:
        try:
            return Answer(hidden(endpoint_out(await ctx.services.store.endpoint(ctx.workspace, ident))))
        except NotFound:
            return None

    return await idempotent(ctx, body.model_dump(mode="json"), work, new_id(now), recover)


def _shown_once(body: Any) -> Answer:
    answer = Answer(body)
    answer.stored = orjson.dumps(hidden(body))
    return answer


@router.post(
    "/callback-secret",
    summary="New secret for callback_url",
    operation_id="rotateCallbackSecret",
    responses={**said(s200=SecretOut), **POSTED, **WITH_BODY},
)
async def rotate_callback_secret(ctx: Ctx, body: Rotation) -> Response:
    """The secret that what a call's `callback_url` is told is signed with, as Standard Webhooks say; one for the whole
    workspace. Each request makes a new one, which is in this answer and nowhere else; the old one stays valid for
    `overlapHours`."""
    now, store, sealer = ctx.services.clock.now(), ctx.services.store, ctx.services.sealer

    async def work(_: str) -> Answer:
        record = await callback_record(store, sealer, ctx.workspace, now)
        return await _rotate(ctx, record, body)

    return await idempotent(ctx, body.model_dump(mode="json"), work)


@router.get("/{endpointId}", summary="Get a webhook endpoint", operation_id="getEndpoint", responses=_ONE)
async def get_endpoint(ctx: Ctx, endpointId: EndpointId) -> Response:
    """One endpoint."""
    return Answer(endpoint_out(await find(ctx, endpointId)))


@router.patch(
    "/{endpointId}",
    summary="Change a webhook endpoint",
    operation_id="changeEndpoint",
    responses={**_ONE, **WITH_BODY},
)
async def change_endpoint(ctx: Ctx, endpointId: EndpointId, body: EndpointChange) -> Response:
    """Changes address, events and description, or switches it off and on."""
    there, now = await find(ctx, endpointId), ctx.services.clock.now()
    asked: dict[str, Any] = {}
    if body.url is not None:
        check_address(ctx, "url", body.url)
        asked["url"] = body.url
    if body.events is not None:
        asks = wanted(Style(there.style), body.events, there.kind)
        asked |= {"events": asks.events, "singles": asks.singles}
    if body.description is not None:
        asked["description"] = body.description

    def change(endpoint: Endpoint) -> Endpoint:
        return _switched(replace(endpoint, **asked), body.disabled, now)

    return Answer(endpoint_out(await ctx.services.store.change_endpoint(ctx.workspace, there.id, change)))


def _switched(endpoint: Endpoint, off: bool | None, now: datetime) -> Endpoint:
    """The endpoint, switched off or on; None: left as it is. One that is switched on has not failed."""
    if off is None or off == (endpoint.off_at is not None):
        return endpoint
    if off:
        return replace(endpoint, off_at=now, off_reason=BY_HAND)
    return replace(endpoint, off_at=None, off_reason=None, failing_since=None)


@router.delete(
    "/{endpointId}",
    summary="Delete a webhook endpoint",
    operation_id="deleteEndpoint",
    responses=said(s200=schemas.Done, s404=schemas.Problem),
)
async def delete_endpoint(ctx: Ctx, endpointId: EndpointId) -> Response:
    """Removes an endpoint with its deliveries."""
    await find(ctx, endpointId)
    await ctx.services.store.delete_endpoint(ctx.workspace, endpointId)
    answer: schemas.Done = {"id": endpointId, "message": "The webhook endpoint is deleted"}
    return Answer(answer)


@router.post(
    "/{endpointId}/rotate",
    summary="Replace an endpoint's secret",
    operation_id="rotateEndpoint",
    responses={**said(s200=SecretOut, s404=schemas.Problem), **POSTED, **WITH_BODY},
)
async def rotate_endpoint(ctx: Ctx, endpointId: EndpointId, body: Rotation) -> Response:
    """Makes a new secret, which is in this answer and nowhere else. The old one stays valid for `overlapHours`: until
    then everything is signed with both, the newest first."""
    await find(ctx, endpointId)

    async def work(_: str) -> Answer:
        return await _rotate(ctx, await find(ctx, endpointId), body)

    return await idempotent(ctx, body.model_dump(mode="json"), work)


async def _rotate(ctx: Context, endpoint: Endpoint, body: Rotation) -> Answer:
    now, overlap = ctx.services.clock.now(), timedelta(hours=body.overlapHours)
    secret, sealed = fresh_secret(ctx.services.sealer, endpoint)
    await ctx.services.store.change_endpoint(ctx.workspace, endpoint.id, lambda old: rotated(old, sealed, now, overlap))
    return _shown_once({"secret": secret, "oldValidUntil": iso(now + overlap)})


@router.post(
    "/{endpointId}/test",
    summary="Test a webhook endpoint",
    operation_id="testEndpoint",
    responses={**said(s200=TestResult, s404=schemas.Problem), **POSTED},
)
async def test_endpoint(ctx: Ctx, endpointId: EndpointId) -> Response:
    """Sends one event of type `webhook.test` now, once, and says what came of it. Works for endpoints that are off."""
    endpoint = await find(ctx, endpointId)

    async def work(_: str) -> Answer:
        now = ctx.services.clock.now()
        data = {"workspaceId": ctx.workspace, "message": "A test of this webhook endpoint"}
        one = Delivery(
            new_id(now), endpoint.id, ctx.workspace, "", None, TEST, now, data, DeliveryState.waiting, 1, None
        )
        tried = await sender_of(ctx.services).send(Due(one, endpoint), now)
        answer: TestResult = {
            "delivered": tried.error is None,
            "messageId": message_id(Style(endpoint.style), one.id),
            "status": tried.status,
            "error": tried.error,
        }
        return Answer(answer)

    return await idempotent(ctx, {}, work)
