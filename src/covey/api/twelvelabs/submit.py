"""Making batches and single tasks: all or nothing, in the order of checks of `docs/contracts/twelvelabs.md` 13.5."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from covey.analysis.backend import most_tokens
from covey.analysis.config import KIND, AnalysisConfig, ItemInput, Mode, Wanted, lane_of
from covey.api.kit.context import Context
from covey.api.kit.errors import Unsure
from covey.api.kit.money import ANYTHING, NO_PRICES, Budget, amount, budget, prices_of
from covey.api.twelvelabs import convert, views
from covey.api.twelvelabs.requests import Checker, CreateBatch, Defaults, check_video, model_of, wanted
from covey.domain.asset import Asset, AssetState
from covey.domain.batch import Batch, NewBatch, NewItem, Quota
from covey.domain.errors import BadRequest, Conflict, TooMany, Unavailable
from covey.domain.run import Json
from covey.domain.usage import Units
from covey.settings import Analysis, ModelKind

PIECE = 200
MAX_TRIES = 3
"""How often a model is asked about one item."""

ROUNDS = 2
"""An answer that is not as asked is put right once: so often are tokens used for one item."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is understood: what the engine needs of it. `items` pair inputs with custom ids."""

    config: AnalysisConfig
    items: Sequence[tuple[ItemInput, str | None]]


async def resolve(ctx: Context, body: CreateBatch) -> Asked:
    """The first checks, which look at nothing but the request. Raises BadRequest, Unprocessable."""
    model_of(ctx, body.model_name)
    settings = ctx.services.settings
    if len(body.requests) > settings.analysis.items:
        raise BadRequest(f"requests: {len(body.requests):,} are more than the {settings.analysis.items:,} of a batch")
    return await ctx.services.heavy.run(_understood, body, settings.fetch.allow)


def _understood(body: CreateBatch, allow: Sequence[Any]) -> Asked:
    checker, items, seen = Checker(Mode(body.analysis_mode)), list[tuple[ItemInput, str | None]](), dict[str, int]()
    given = body.defaults or Defaults()
    defaults = wanted(given, given.prompt)
    checker.check_options(defaults, "defaults.")
    for at, item in enumerate(body.requests):
        where = f"requests.{at}."
        if item.custom_id is not None and (first := seen.setdefault(item.custom_id, at)) != at:
            raise BadRequest(f"{where}custom_id: {item.custom_id!r} is that of requests.{first} already")
        check_video(item.video, f"{where}video", allow)
        own = wanted(item, item.prompt)
        checker.check_options(own, where)
        checker.merged(own.over(defaults), where)
        items.append((_input(item.video.asset_id, item.video.url, own, f"{where}video"), item.custom_id))
    return Asked(AnalysisConfig(model=body.model_name, mode=Mode(body.analysis_mode), defaults=defaults), items)


def _input(asset: str | None, url: str | None, own: Wanted, where: str) -> ItemInput:
    ident = None
    if asset is not None:
        ident = convert.identifier(asset)
        if ident is None:
            raise BadRequest(f"{where}.asset_id: {asset[:40]!r} is no id of an asset: it has 24 hex digits")
    return ItemInput(asset=ident, url=url if ident is None else None, wanted=own)


def input_of(video: Any, own: Wanted) -> ItemInput:
    """The input of a single task whose video was checked."""
    return _input(video.asset_id, video.url, own, "video")


async def check_assets(ctx: Context, request: Asked) -> float:
    """The assets are there, ready, and no more than a batch may be about; the seconds of the longest window. Raises
    NotFound, Conflict, BadRequest."""
    named = list(dict.fromkeys(given.asset for given, _ in request.items if given.asset))
    found = await ctx.services.store.assets_among(ctx.workspace, named) if named else {}
    for one in named:
        if one not in found:
            raise convert.nothing_of(one, "assets")
    for one in named:
        if found[one].state is not AssetState.ready:
            state = found[one].state.value
            raise Conflict(f"The asset {one} is {state}, not ready", code="asset_not_ready", asset_id=one, status=state)
    analysis = ctx.services.settings.analysis
    known = [_window(request, given, found[given.asset], analysis) for given, _ in request.items if given.asset]
    if sum(known) > analysis.hours * 3600:
        hours = sum(known) / 3600
        raise BadRequest(f"requests: {hours:,.1f} hours of video are more than the {analysis.hours:,g} of a batch")
    return max(known) if len(known) == len(request.items) else analysis.window_seconds


def _window(request: Asked, source: ItemInput, asset: Asset, analysis: Analysis) -> float:
    """How long an item's window is. One that is too long fails alone, so it counts no more than a window may last."""
    merged = source.wanted.over(request.config.defaults)
    lasts = asset.seconds or 0.0
    end = min(lasts, merged.end_time if merged.end_time is not None else lasts)
    return min(max(0.0, end - (merged.start_time or 0.0)), analysis.window_seconds)


async def budget_of(ctx: Context, request: Asked, text: str | None, seconds: float) -> Budget:
    """What the batch may cost, and what is reserved for one item: its price, the longest window, and both rounds of
    tokens that an answer which has to be put right takes. Raises BadRequest where that is not known."""
    if text is None:
        return ANYTHING
    prices = prices_of(await ctx.workspace_settings(), KIND)
    model = ctx.services.settings.models[request.config.model]
    tokens_in = 0 if model.kind is ModelKind.local_facts else model.context_tokens
    if tokens_in is None and prices.token_in:
        raise BadRequest(
            f"max_cost: tokens in have a price, and how many the model {request.config.model} reads at most is not "
            f"known; whoever runs the server says so as context_tokens of models.{request.config.model}",
            code=NO_PRICES,
        )
    tokens_out = max(
        most_tokens(request.config.mode, given.wanted.over(request.config.defaults)) for given, _ in request.items
    )
    longest = Units(seconds, ROUNDS * (tokens_in or 0), ROUNDS * tokens_out)
    found = budget("max_cost", amount("max_cost", text), prices, longest, KIND)
    for warning in found.warnings:
        raise BadRequest(f"max_cost: {warning}", code="parameter_invalid")
    return found


async def submit(ctx: Context, request: Asked, ident: str, notes: Json | None = None, **more: Any) -> Batch:
    """Make the batch. Raises TooMany if the workspace has as many as it may have, Unsure if the database failed on the
    way; then whether it was made is found out by its id."""
    services = ctx.services
    settings, now = services.settings, services.clock.now()
    days = settings.retention.analysis_days
    new = NewBatch(
        id=ident,
        workspace=ctx.workspace,
        kind=KIND,
        lane=lane_of(request.config.model),
        config=request.config.dump(),
        created_at=now,
        expires_at=now + timedelta(hours=settings.analysis.expire_hours),
        deletes_at=None if days is None else now + timedelta(days=days),
        max_tries=MAX_TRIES,
        repeatable=True,
        self_pausing=False,
        prices=prices_of(await ctx.workspace_settings(), KIND),
        notes={views.MODE: request.config.mode.value, views.MODEL: request.config.model, **(notes or {})},
        **more,
    )
    quota = Quota(settings.analysis.active_batches, settings.limits.waiting_items, allow_duplicate=True)
    try:
        return await services.submission.submit(new, _pieces(ctx, request), quota, ctx.actor)
    except Conflict as error:
        if error.code not in ("too_many_batches", "too_many_items"):
            raise
        message = error.message[:1].upper() + error.message[1:]
        raise TooMany(f"{message}. Ask again when one has ended", code="too_many_requests") from None
    except Unavailable as error:
        name = "task_id" if new.origin == "single" else "batch_id"
        shown = ident if new.origin != "single" else f"{ident[:18]}000001"
        raise Unsure(
            f"The database did not answer while it was made. If it was, its {name} is {shown}: ask for it",
            **{name: shown},
        ) from error


async def _pieces(ctx: Context, request: Asked) -> AsyncIterator[Sequence[NewItem]]:
    for first in range(0, len(request.items), PIECE):
        yield await ctx.services.heavy.run(_written, request.items[first : first + PIECE])


def _written(items: Sequence[tuple[ItemInput, str | None]]) -> list[NewItem]:
    """Items as the engine takes them. One may have 32 MB."""
    return [NewItem(given.dump(), given.asset or given.url, custom_id=custom) for given, custom in items]
