"""watch: a batch as it goes on, live on a terminal, a line per change elsewhere."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from covey.cli import arguments
from covey.cli.exits import Exit
from covey.cli.output import JsonFlag, clean, data, print_line, say
from covey.cli.session import talk
from covey.cli.view import Seen, as_batch, line, render
from covey.client import CoveyClient
from covey.client.errors import CoveyClientError, RateLimited, ServerError, Unreachable
from covey.client.models import Batch

EVERY = 0.5
LONGEST = 10.0
"""Seconds between two looks, and at most when the server does not answer."""


def watch(
    batch: Annotated[str | None, typer.Argument(help="The batch; the newest if none is named.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Watch a batch until it has ended. Ctrl-C stops the watching, not the batch.

    Exit code 0 if the batch completed, 1 if it was cancelled, expired or failed.
    """

    async def work(client: CoveyClient) -> Exit:
        return await follow(client, await arguments.any_batch(client, batch), as_json=as_json)

    raise typer.Exit(talk(work, as_json=as_json))


async def follow(client: CoveyClient, batch_id: str, *, as_json: bool = False) -> Exit:
    """Show a batch until it has ended, or until Ctrl-C; the exit code that tells which."""
    seen = Seen()
    try:
        await _show(client, batch_id, seen, as_json=as_json)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        _tell_left(seen, batch_id)
        return Exit.interrupted
    if seen.batch is None or seen.batch.status != "completed":
        return Exit.failed
    return Exit.ok


async def _show(client: CoveyClient, batch_id: str, seen: Seen, *, as_json: bool) -> None:
    async for _ in following(client, batch_id, seen, as_json=as_json):
        pass


async def following(
    client: CoveyClient, batch_id: str, seen: Seen, *, as_json: bool = False
) -> AsyncIterator[Batch | None]:
    """Look until the batch has ended, showing each look, and hand out what was seen (None: no answer came)."""
    console = data()
    live = console.is_terminal and not as_json
    shown: object = None
    with _screen(console, seen) if live else nullcontext():
        async for batch in looks(client, batch_id, seen):
            now = _facts(seen)
            if not live and now != shown:
                _put_change(seen, as_json=as_json)
            shown = now
            yield batch


def _screen(console: Console, seen: Seen) -> AbstractContextManager[object]:
    console.soft_wrap = False
    return Live(console=console, get_renderable=lambda: render(seen), refresh_per_second=8)


async def looks(client: CoveyClient, batch_id: str, seen: Seen) -> AsyncIterator[Batch | None]:
    """Look again and again until the batch has ended; `seen` has what was seen, None is yielded for no answer.

    Raises what the first look raises, and later on all but what another try may heal.
    """
    pause = EVERY
    while True:
        try:
            seen.add(await _look(client, batch_id))
            pause = EVERY
        except (Unreachable, ServerError, RateLimited) as error:
            if seen.batch is None:
                raise
            pause = min(pause * 2, LONGEST)
            seen.trouble = _trouble(error)
        yield None if seen.trouble else seen.batch
        if not seen.trouble and seen.batch is not None and seen.batch.is_complete:
            return
        await asyncio.sleep(pause)


async def _look(client: CoveyClient, batch_id: str) -> Batch:
    if arguments.of_calls(batch_id):
        return await client.batches.get(batch_id)
    return as_batch(await client.analyses.get(batch_id))


def _trouble(error: CoveyClientError) -> str:
    return f"{error.message} Still trying; the batch does not need this view to go on."


def _facts(seen: Seen) -> object:
    batch = seen.batch
    if batch is None or seen.trouble:
        return seen.trouble
    progress = batch.progress
    counts = (progress.waiting, progress.active, progress.completed, progress.failed, progress.cancelled)
    return counts, batch.status, batch.paused, batch.holding.code if batch.holding else ""


def _put_change(seen: Seen, *, as_json: bool) -> None:
    if seen.trouble:
        say(seen.trouble)
    elif seen.batch is not None and as_json:
        sys.stdout.write(json.dumps(seen.batch.raw, ensure_ascii=True) + "\n")
        sys.stdout.flush()
    elif seen.batch is not None:
        print_line(line(seen.batch))


def _tell_left(seen: Seen, batch_id: str) -> None:
    if seen.batch is not None and seen.batch.is_complete:
        return
    name = clean(batch_id)
    say(f"No longer watching; the batch goes on. `covey watch {name}` looks again, `covey cancel {name}` stops it.")
