"""A single call: a batch of one with origin `single` (contract 10.2, 12.20)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Response
from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from covey.api.kit.blank import Fields
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.idempotency import idempotent
from covey.api.kit.openapi import WITH_BODY, new_router, said
from covey.api.kit.submission import made
from covey.api.trillet import convert
from covey.api.trillet import schemas as out
from covey.api.trillet.dialect import POSTED
from covey.api.trillet.numbers import read_number
from covey.api.trillet.requests import parse
from covey.api.trillet.submit import Plan, config_of, resolve, submit
from covey.api.webhooks.callbacks import callback_endpoint, check_address
from covey.calls.config import KIND, Row
from covey.calls.text import visible
from covey.domain.batch import NewBatch, NewItem
from covey.domain.errors import BadRequest
from covey.domain.ids import new_id

router = new_router("Calls")

PATH = "/v1/api/call"

Plain = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]


class NewCall(Fields):
    """One call: whom, by which agent, with which values for its placeholders."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[str, Field(min_length=1, max_length=40)]
    call_agent_id: Annotated[str, Field(min_length=1, max_length=200)]
    callback_url: Plain | None = None
    dynamic_variables: dict[str, Plain | int | float | bool | None] | None = None
    metadata: dict[str, Any] | None = None
    trunk: Annotated[str, Field(max_length=40)] | None = None
    region: Annotated[str, Field(max_length=2)] | None = None
    maxCost: Annotated[str, Field(max_length=40)] | None = None


@with_config(ConfigDict(extra="forbid"))
class CallStarted(TypedDict):
    """A single call that was accepted."""

    status: str
    call_id: str
    message: str
    trunk: str
    live: bool


@router.post(
    PATH,
    summary="Initiate an outbound call",
    operation_id="startCall",
    responses={**said(s200=CallStarted, s404=out.BatchNotFound), **POSTED, **WITH_BODY},
)
async def start_call(ctx: Ctx, body: NewCall) -> Response:
    """Calls one number. The call is not in any list of batches; the call history has it.

    Two equal requests are two calls, one after the other; with one Idempotency-Key they are one. When the call has
    ended, `callback_url` is told once, with the call, as a webhook endpoint of style `standard` is; the workspace's
    callback secret signs it (`POST /v1/api/webhooks/callback-secret`).
    """
    given = body.model_dump(exclude_none=True)
    if body.callback_url is not None:
        check_address(ctx, "callback_url", body.callback_url)
    form = {"agentId": body.call_agent_id, "trunk": body.trunk, "region": body.region, "maxCost": body.maxCost}
    fields = parse({name: text for name, text in form.items() if text is not None}, ctx.services.clock.now())
    plan = await resolve(ctx, fields)
    values = {name: _text(value) for name, value in (body.dynamic_variables or {}).items()}
    _check_placeholders(plan, values)
    number = await asyncio.to_thread(read_number, body.to, plan.options)

    async def work(ident: str) -> Answer:
        new = _single(ctx, plan, body, ident, tuple(values))
        row = Row(row=1, values={"phone_number": number.e164, **values})
        async with callback_endpoint(ctx, ident, body.callback_url):
            batch = await submit(ctx, new, _one(NewItem(row.dump(), number.e164, number.zone)), True)
        return Answer(_started(batch.id, plan.trunk.name, plan.trunk.live))

    return await idempotent(ctx, given, work, new_id(ctx.services.clock.now()), lambda ident: _recover(ctx, ident))


def _single(ctx: Context, plan: Plan, body: NewCall, ident: str, columns: tuple[str, ...]) -> NewBatch:
    more = {"callback_url": body.callback_url, "metadata": body.metadata or {}}
    return NewBatch(
        id=ident,
        workspace=ctx.workspace,
        kind=KIND,
        lane=plan.trunk.name,
        config=config_of(ctx, plan, ("phone_number", *columns), "phone_number", **more).dump(),
        created_at=ctx.services.clock.now(),
        origin="single",
        max_tries=plan.max_tries,
        exclusive=True,
        hours=plan.trunk.settings.hours,
        keep=plan.keep,
        prices=plan.prices,
        max_cost=plan.budget.max_cost,
        run_cost=plan.budget.run_cost,
        notes={"live": plan.trunk.live, "agentId": convert.agent_out(plan.agent.id)},
    )


async def _one(item: NewItem) -> AsyncIterator[list[NewItem]]:
    yield [item]


async def _recover(ctx: Context, ident: str) -> Answer | None:
    batch = await made(ctx, ident)
    return None if batch is None else Answer(_started(batch.id, batch.lane, bool(batch.notes.get("live"))))


def _started(batch: str, trunk: str, live: bool) -> CallStarted:
    return {
        "status": "success",
        "call_id": convert.call_out(batch, 0),
        "message": "Call initiated successfully",
        "trunk": trunk,
        "live": live,
    }


def _check_placeholders(plan: Plan, values: dict[str, str]) -> None:
    missing = sorted(plan.agent.placeholders - {visible(name) for name in values} - {"phone_number"})
    if missing:
        raise BadRequest(
            f"dynamic_variables: the agent says {', '.join('{' + name + '}' for name in missing)}, "
            "and there is no value of that name",
            code="placeholder_without_value",
        )


def _text(value: str | float | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
