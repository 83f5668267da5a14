"""Starting batches, whole or not at all (contract 3, 12.3), in four steps that each do one thing:

1. `parse` (`requests.py`): the form's fields, each by itself;
2. `resolve`: the agent, the trunk, how the list is to be read, what it may cost;
3. `_checked`: the list, in a process of its own;
4. `_new_batch`: the batch that `submit` then fills and accepts.
"""

import hashlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from fastapi import Response

from covey import private
from covey.api.kit import formats
from covey.api.kit.checking import checked
from covey.api.kit.context import Context
from covey.api.kit.errors import Answer
from covey.api.kit.forms import Form
from covey.api.kit.idempotency import idempotent
from covey.api.kit.money import ANYTHING, Budget, budget, prices_of
from covey.api.kit.services import TrunkFacts
from covey.api.kit.streaming import streamed
from covey.api.kit.submission import made
from covey.api.kit.workspace import WorkspaceSettings
from covey.api.trillet import convert
from covey.api.trillet import schemas as out
from covey.api.trillet.agents import FrozenAgent, find_agent, freeze
from covey.api.trillet.overlap import warnings_of
from covey.api.trillet.requests import DEFAULT_GAP, NAMES, SmartCallback, StartFields, check_gaps, parse, read_form
from covey.calls.config import KIND, RETRIED_CODES, CallsConfig, RetryPlan
from covey.calls.intake import CheckedList, IntakeOptions, NumberRule, OnDuplicate
from covey.calls.paths import skipped_path
from covey.domain.batch import Batch, NewBatch, NewItem
from covey.domain.errors import Conflict, Unavailable
from covey.domain.ids import new_id
from covey.domain.usage import Prices, Units
from covey.engine.submission import settled
from covey.settings import TrunkKind

RULES = {TrunkKind.demo: NumberRule.demo, TrunkKind.simulated: NumberRule.simulated, TrunkKind.sip: NumberRule.real}


SAME_LIST = "The same file for the same agent on the same trunk"


@dataclass(frozen=True, slots=True)
class Plan:
    """A start that is resolved, before its list is read."""

    fields: StartFields
    agent: FrozenAgent
    trunk: TrunkFacts
    options: IntakeOptions
    retry: RetryPlan | None
    max_tries: int
    keep: timedelta | None
    prices: Prices
    budget: Budget


async def start(ctx: Context) -> Answer:
    """Start a batch from this request's form."""
    services = ctx.services
    upload = await read_form(ctx.request, NAMES, services.spool, services.settings.limits)
    async with upload:
        fields = parse(upload.fields, services.clock.now())

        async def work(ident: str) -> Answer:
            return Answer(await _start(ctx, fields, upload, ident))

        return await idempotent(
            ctx, fingerprint_fields(upload), work, new_id(services.clock.now()), lambda ident: recover(ctx, ident)
        )


async def validate(ctx: Context) -> Response:
    """What a start with this form would find; the report as CSV if the query asks for it. Nothing is started."""
    services = ctx.services
    upload = await read_form(ctx.request, NAMES, services.spool, services.settings.limits)
    async with upload:
        plan = await resolve(ctx, parse(upload.fields, services.clock.now()))

        async def work(_: str) -> Answer:
            async with await _checked(ctx, upload, plan) as found:
                return Answer(_report(found, plan, await warnings_of(ctx, plan.trunk.name, found)))

        if ctx.request.query_params.get("format") != "csv":
            return await idempotent(ctx, fingerprint_fields(upload), work)
        return await streamed(_report_csv(await _checked(ctx, upload, plan)), "text/csv", {})


async def _report_csv(found: CheckedList) -> AsyncIterator[bytes]:
    """The bad rows of a list block by block: half a million of them would take 200 MB at once."""
    async with found:
        async for block in found.report_csv():
            yield block


def fingerprint_fields(upload: Form) -> dict[str, Any]:
    """What a form means to an Idempotency-Key, whatever its boundary: its fields, and its file by content."""
    return {"fields": {name: text for name, text in upload.fields.items() if text}, "file": upload.sha256}


async def _checked(ctx: Context, upload: Form, plan: Plan) -> CheckedList:
    assert upload.path is not None
    return await checked(ctx, upload.path, plan.options)


def _report(found: CheckedList, plan: Plan, warnings: Sequence[str]) -> out.ValidationReport:
    refusal = found.refusal()
    report: out.ValidationReport = {
        "ok": refusal is None,
        "message": refusal.message if refusal else f"{found.total:,} calls would be placed",
        "trunk": plan.trunk.name,
        "live": plan.trunk.live,
        "warnings": [*plan.agent.warnings, *plan.budget.warnings, *warnings],
        **found.report.as_json(),  # type: ignore[typeddict-item]
    }
    return report


async def resolve(ctx: Context, fields: StartFields) -> Plan:
    """Find the agent and the trunk, and work out how the list is to be read. Raises NotFound, BadRequest."""
    record = await find_agent(ctx, fields.agent_id)
    agent = freeze(record)
    workspace = await ctx.workspace_settings()
    defaults = WorkspaceSettings.model_validate(dict(workspace.settings))
    named = fields.trunk or agent.trunk or defaults.trunk or ctx.services.settings.calls.default_trunk
    trunk = ctx.trunk(named)
    least = trunk.settings.least_gap
    if fields.callback is not None:
        check_gaps("smartCallbackConfig", [gap.seconds for gap in fields.callback.gaps], least)
    retry, tries = retry_plan(fields.callback or agent.callback, agent, least)
    options = IntakeOptions(
        rule=RULES[trunk.settings.kind],
        encoding=fields.encoding,
        phone_column=fields.phone_column,
        region=region_of(ctx, fields.region, defaults),
        country=defaults.country,
        countries=frozenset(trunk.settings.countries) if trunk.settings.countries is not None else None,
        placeholders=agent.placeholders,
        on_invalid=fields.on_invalid or defaults.onInvalid,
        on_duplicate=fields.on_duplicate,
        zones=trunk.settings.hours is not None,
    )
    prices = prices_of(workspace, KIND)
    budget = budget_of(fields.max_cost, prices, agent.body, trunk)
    return Plan(fields, agent, trunk, options, retry, tries, await kept(ctx), prices, budget)


def region_of(ctx: Context, region: str | None, defaults: WorkspaceSettings) -> str | None:
    """The country of numbers without `+`, of those to be called and of those never to be: what the request says, else
    the workspace, else the server."""
    return region or defaults.region or ctx.services.settings.calls.region


def budget_of(max_cost: int | None, prices: Prices, agent: Mapping[str, Any], trunk: TrunkFacts) -> Budget:
    """What a batch may cost, and what its longest call costs: as long as agent (its dump) and trunk let people
    talk. Raises BadRequest without prices."""
    if max_cost is None:
        return ANYTHING
    longest = min(agent.get("longest_seconds") or math.inf, trunk.settings.longest_seconds)
    return budget("maxCost", max_cost, prices, Units(seconds=longest), KIND)


async def kept(ctx: Context) -> timedelta | None:
    """How long a batch of calls is kept after its end, by the workspace's settings or the server's; None: for ever."""
    own = WorkspaceSettings.model_validate(dict((await ctx.workspace_settings()).settings)).retention_days
    days = ctx.services.settings.retention.calls_days if own is None else own
    return None if days is None else timedelta(days=days)


def retry_plan(callback: SmartCallback | None, agent: FrozenAgent, least: float) -> tuple[RetryPlan | None, int]:
    """When and how often a call is tried again (contract 12.12), never sooner than after `least` seconds: an agent may
    have been stored before there was a least gap."""
    if callback is None or not callback.enabled:
        return None, 1
    gaps = tuple(max(least, gap.seconds) for gap in callback.gaps) or (DEFAULT_GAP,)
    codes = (*RETRIED_CODES, "voicemail") if agent.retry_voicemail else RETRIED_CODES
    return RetryPlan(gaps=gaps, codes=codes), callback.maxAttempts


async def _start(ctx: Context, fields: StartFields, upload: Form, ident: str) -> out.Started:
    plan = await resolve(ctx, fields)
    print_of_list = fingerprint(upload.sha256, plan.agent.id)
    await _refuse_duplicate(ctx, print_of_list, plan.trunk.name, fields.allow_duplicate)
    async with await _checked(ctx, upload, plan) as found:
        refusal = found.refusal()
        if refusal is not None:
            raise refusal
        new = _new_batch(ctx, plan, found, ident, print_of_list)
        overlap = await warnings_of(ctx, plan.trunk.name, found)
        async with _skipped_kept(ctx, found, ident):
            batch = await submit(ctx, new, found.pieces(), fields.allow_duplicate)
    return started(batch, [*plan.agent.warnings, *plan.budget.warnings, *overlap])


def fingerprint(sha256: str, agent: str) -> str:
    """What tells a list that is given twice: the same file for the same agent."""
    return hashlib.sha256(f"{sha256} {agent}".encode()).hexdigest()


def _new_batch(ctx: Context, plan: Plan, found: CheckedList, ident: str, print_of_list: str) -> NewBatch:
    fields, report = plan.fields, found.report
    skips = plan.options.on_duplicate is OnDuplicate.skip
    return NewBatch(
        id=ident,
        workspace=ctx.workspace,
        kind=KIND,
        lane=plan.trunk.name,
        config=config_of(ctx, plan, report.columns, report.phone_column).dump(),
        created_at=ctx.services.clock.now(),
        name=fields.name,
        start_at=fields.start_at,
        expires_at=fields.expires_at,
        max_tries=plan.max_tries,
        exclusive=True,
        hours=plan.trunk.settings.hours,
        cap=fields.cap,
        pace=fields.pace,
        fingerprint=print_of_list,
        keep=plan.keep,
        prices=plan.prices,
        max_cost=plan.budget.max_cost,
        run_cost=plan.budget.run_cost,
        notes={
            "live": plan.trunk.live,
            "agentId": convert.agent_out(plan.agent.id),
            "invalid": report.invalid,
            "duplicates": report.duplicates,
            "duplicatesSkipped": report.duplicates if skips else 0,
        },
    )


def config_of(ctx: Context, plan: Plan, columns: Sequence[str], phone_column: str, **more: Any) -> CallsConfig:
    """The frozen configuration of a plan."""
    return CallsConfig(
        agent=plan.agent.body,
        agent_id=convert.agent_out(plan.agent.id),
        trunk=plan.trunk.name,
        live=plan.trunk.live,
        region=plan.options.region,
        columns=tuple(columns),
        phone_column=phone_column,
        retry=plan.retry,
        recording=plan.agent.recording and ctx.services.settings.calls.recording,
        **more,
    )


async def submit(
    ctx: Context,
    new: NewBatch,
    pieces: AsyncIterator[Sequence[NewItem]],
    allow_duplicate: bool,
    what: str = SAME_LIST,
) -> Batch:
    """Fill and accept a batch. Raises Conflict in the wire's words; `what` is what was given twice."""
    try:
        return await ctx.services.submission.submit(new, pieces, ctx.services.quota(allow_duplicate), ctx.actor)
    except Conflict as error:
        if error.code == "duplicate_batch":
            raise duplicate(str(error.details.get("batch", "")), what) from None
        raise


async def _refuse_duplicate(ctx: Context, print_of_list: str, lane: str, allowed: bool) -> None:
    """The store refuses a duplicate in the end; looking first saves the check of the list."""
    if allowed:
        return
    since = ctx.services.clock.now() - ctx.services.quota(False).duplicate_window
    earlier = await ctx.services.store.find_fingerprint(ctx.workspace, print_of_list, lane, since)
    if earlier is not None:
        raise duplicate(earlier)


def duplicate(earlier: str, what: str = SAME_LIST) -> Conflict:
    """The refusal of `what` that `earlier` was made of already."""
    return Conflict(
        f"{what} was accepted less than ten minutes ago, or is still being worked on. "
        "If it is meant twice, send allowDuplicate=true",
        code="duplicate_batch",
        batchId=convert.batch_out(earlier),
    )


@asynccontextmanager
async def _skipped_kept(ctx: Context, found: CheckedList, ident: str) -> AsyncIterator[None]:
    """Keep the list of skipped rows beside the batch; not if the batch is not accepted."""
    path = skipped_path(ctx.services.settings.data, ident)
    kept = found.report.invalid > 0 or found.report.duplicates_skipped
    if kept:
        private.folder(path.parent)
        found.keep_bad_rows(path)
    try:
        yield
    except BaseException:
        with suppress(Unavailable):
            if await settled(made(ctx, ident)) is None:
                path.unlink(missing_ok=True)
        raise


async def recover(ctx: Context, ident: str) -> Answer | None:
    """A start's answer for the batch that an earlier request made."""
    batch = await made(ctx, ident)
    return None if batch is None else Answer(started(batch, ()))


def started(batch: Batch, warnings: Sequence[str]) -> out.Started:
    """A start's answer."""
    notes = batch.notes
    found: out.Started = {
        "batchId": convert.batch_out(batch.id),
        "totalCalls": batch.counts.total,
        "status": convert.batch_word(batch),
        "message": "Batch calls scheduled successfully" if batch.start_at else "Batch calls initiated successfully",
        "trunk": batch.lane,
        "live": bool(notes.get("live")),
        "duplicates": int(notes.get("duplicates", 0)),
        "duplicatesSkipped": int(notes.get("duplicatesSkipped", 0)),
        "invalidCount": int(notes.get("invalid", 0)),
    }
    if batch.start_at is not None:
        found["scheduledAt"] = formats.millis(batch.start_at)
    if warnings:
        found["warnings"] = list(warnings)
    return found


def skipped_rows(data: Path, ident: str, most: int) -> list[out.BadRowOut]:
    """The first of a batch's skipped rows."""
    path, rows = skipped_path(data, ident), list[out.BadRowOut]()
    if path.is_file():
        with path.open("rb") as file:
            for line in file:
                rows.append(orjson.loads(line))
                if len(rows) == most:
                    break
    return rows
