"""A single analysis: a batch of one that no list of batches shows (`docs/contracts/twelvelabs.md` 13.12)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from covey.analysis.config import KIND, AnalysisConfig, ItemInput, Mode
from covey.analysis.encoded import decoded
from covey.analysis.inspection import TOO_LARGE
from covey.api.kit.context import Context
from covey.api.kit.errors import Unsure
from covey.api.twelvelabs import convert, views
from covey.api.twelvelabs.assets import intake_of
from covey.api.twelvelabs.requests import NEEDED, Analyze, Checker, CreateTask, Prompt, check_video, model_of, wanted
from covey.api.twelvelabs.submit import Asked, check_assets, input_of, submit
from covey.domain.batch import Batch, StopReason
from covey.domain.errors import BadRequest, CoveyError, NotFound, TooLarge
from covey.domain.ids import split_item_id
from covey.domain.item import Item, ItemState

DEFAULT_MODEL = "pegasus1.5"
"""What the SDKs mean when they name no model. It runs once the operator maps it, and never on something lesser."""

FIRST_LOOK, LONGEST_LOOK = 0.05, 1.0
"""Seconds between two looks at an item that is waited for."""

_UNENDED = (ItemState.waiting, ItemState.active)


async def understood(ctx: Context, body: CreateTask | Analyze) -> tuple[Asked, dict[str, Any]]:
    """What a request asks for, and the notes that are kept with it. Raises BadRequest, Unprocessable."""
    name = body.model_name or DEFAULT_MODEL
    model_of(ctx, name)
    mode = Mode((body.analysis_mode if isinstance(body, CreateTask) else None) or Mode.general)
    check_video(body.video, "video", ctx.services.settings.fetch.allow)
    if body.prompt is not None and body.prompt_v2 is not None:
        raise BadRequest("prompt_v2: prompt is there too; say one of them")
    if mode is Mode.general and body.prompt is None and body.prompt_v2 is None:
        raise BadRequest("prompt: the mode general needs one", code=NEEDED)
    prompt = Prompt(input_text=body.prompt) if body.prompt is not None else body.prompt_v2
    own, checker = wanted(body, prompt), Checker(mode)
    await ctx.services.heavy.run(checker.check_options, own, "")
    checker.merged(own, "")
    config = AnalysisConfig(model=name, mode=mode)
    custom = body.custom_id if isinstance(body, CreateTask) else None
    notes = {views.STRING_PROMPT: True} if body.prompt is not None else {}
    return Asked(config, [(input_of(body.video, own), custom)]), notes


async def make(ctx: Context, body: CreateTask | Analyze, ident: str) -> Batch:
    """Make the batch of one; nothing is left of one that is refused."""
    asked, notes = await understood(ctx, body)
    if body.video.base64_string is None:
        await check_assets(ctx, asked)
        return await submit(ctx, asked, ident, origin=views.SINGLE, notes=notes)
    async with _stored(ctx, body.video.base64_string) as asset:
        given, custom = asked.items[0]
        there = Asked(asked.config, [(ItemInput(asset=asset, wanted=given.wanted), custom)])
        return await submit(ctx, there, ident, origin=views.SINGLE, notes=notes)


@asynccontextmanager
async def _stored(ctx: Context, encoded: str) -> AsyncIterator[str]:
    """An asset of a video that came inside the request. It goes again if the task is refused."""
    intake, most = intake_of(ctx), ctx.services.settings.analysis.create_bytes
    file = intake.files.spooled()
    await ctx.services.heavy.run(_decode, encoded, file, most)
    asset = await intake.make_asset(ctx.workspace, name="video", file=file)
    try:
        yield asset.id
    except Unsure:
        raise
    except BaseException:
        with suppress(CoveyError):
            await asyncio.shield(intake.delete(ctx.workspace, asset.id))
        raise


def _decode(encoded: str, file: Path, most: int) -> None:
    if len(encoded) * 3 // 4 > most + 2:
        raise TooLarge(f"video.base64_string: it is larger than {most:,} bytes", code=TOO_LARGE)
    try:
        with file.open("xb") as out:
            for piece in decoded(encoded):
                out.write(piece)
    except ValueError:
        file.unlink(missing_ok=True)
        raise BadRequest("video.base64_string: it is not base64") from None


async def find(ctx: Context, task_id: str) -> tuple[Batch, Item]:
    """The workspace's task of this id, an item of a batch too. Raises NotFound."""
    ident = convert.identifier(task_id)
    place = split_item_id(ident) if ident is not None else None
    if place is not None:
        with suppress(NotFound):
            batch = await ctx.services.store.batch(place[0], ctx.workspace)
            if batch.kind == KIND:
                return batch, await ctx.services.store.item(*place)
    raise convert.nothing_of(task_id, "tasks")


async def ended(ctx: Context, batch: str, within: timedelta | None = None) -> tuple[Batch, Item]:
    """Wait until a single task has ended (or for so long), and look at it. Raises NotFound if it is deleted."""
    look, until = FIRST_LOOK, None if within is None else ctx.services.clock.monotonic() + within.total_seconds()
    while True:
        found, items = await ctx.services.store.items(batch, limit=1, bare=True)
        over = until is not None and ctx.services.clock.monotonic() >= until
        if over or items[0].state not in _UNENDED:
            return found, items[0]
        await asyncio.sleep(look)
        look = min(look * 1.5, LONGEST_LOOK)


async def stop(ctx: Context, batch: str, *, abort: bool = True) -> Batch:
    """End a single task; what is being processed is dropped, or without `abort` goes on to its end."""
    return (await ctx.services.orders.stop(ctx.workspace, batch, StopReason.cancel, abort=abort, actor=ctx.actor)).batch
