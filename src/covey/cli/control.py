"""cancel, pause, resume, limit, retry, hang-up: what people do to a batch that is there."""

from collections.abc import Awaitable
from typing import Annotated

import typer

from covey.cli import arguments
from covey.cli.arguments import real, whole
from covey.cli.exits import Exit
from covey.cli.output import JsonFlag, YesFlag, clean, counted, print_json, print_line, say
from covey.cli.session import confirm, leave, talk
from covey.cli.submit import Ends, MaxCost, Moment, tell_started
from covey.cli.view import as_batch, line
from covey.cli.watch import follow
from covey.client import CoveyClient
from covey.client.models import Batch, Cancelled

TheBatch = Annotated[str, typer.Argument(help="The batch, its id with or without batch_.")]


def cancel(
    batch: TheBatch,
    hang_up: Annotated[bool, typer.Option("--hang-up", help="Hang up active calls too.")] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Call a batch back: what waits is never started, what is active goes on to its end. Cannot be undone."""

    async def work(client: CoveyClient) -> None:
        named = await arguments.any_batch(client, batch)
        if not arguments.of_calls(named):
            await _cancel_videos(client, named, yes=yes, as_json=as_json)
            return
        before = await client.batches.get(named)
        if not yes and not before.is_complete:
            confirm(_question(before, hang_up), yes=yes)
        done = await client.batches.cancel(before.id, hang_up=hang_up)
        if as_json:
            print_json(done.raw)
        else:
            _tell(done, hang_up)

    talk(work, as_json=as_json)


async def _cancel_videos(client: CoveyClient, named: str, *, yes: bool, as_json: bool) -> None:
    before = await client.analyses.get(named)
    if not before.ended:
        confirm(
            f"Cancel {named}? {counted(before.queued_items, 'queued video')} will never be analysed, "
            f"{before.processing_items:,} are processing and go on to their end.",
            yes=yes,
        )
    done = await client.analyses.cancel(named)
    if as_json:
        print_json(done.raw)
        return
    print_line(
        f"{done.status}: {counted(done.canceled_items, 'video')} will never be analysed, "
        f"{done.processing_items:,} are processing, {done.ready_items:,} are ready, {done.failed_items:,} failed, "
        f"{done.total_items:,} in all"
    )


def _question(batch: Batch, hang_up: bool) -> str:
    progress = batch.progress
    active = f"{counted(progress.active, 'active call')} will {'be hung up' if hang_up else 'go on to the end'}"
    done = f"{progress.completed + progress.failed:,} are over"
    name = f"{batch.name} ({batch.id})" if batch.name else batch.id
    return f"Cancel {name}? {counted(progress.waiting, 'waiting call')} will never be dialled, {active}, {done}."


def _tell(done: Cancelled, hang_up: bool) -> None:
    details = done.details
    print_line(
        f"{done.status}: {counted(details.cancelled_calls, 'call')} will never be dialled, "
        f"{details.active_calls:,} are active, {details.completed_calls:,} completed, "
        f"{details.failed_calls:,} failed, {details.total_calls:,} in all"
    )
    if details.active_calls and not hang_up:
        say(f"The active calls go on. `covey cancel {clean(done.batch_id)} --hang-up` hangs them up.")


def pause(batch: TheBatch, as_json: JsonFlag = False) -> None:
    """Start nothing more of a batch until it is resumed; what is active goes on."""

    async def work(client: CoveyClient) -> None:
        named = await arguments.any_batch(client, batch)
        if arguments.of_calls(named):
            await _put_line(client.batches.pause(named), as_json)
        else:
            _put_batch(as_batch(await client.analyses.pause(named)), as_json)

    talk(work, as_json=as_json)


def resume(batch: TheBatch, as_json: JsonFlag = False) -> None:
    """Go on with a paused batch."""

    async def work(client: CoveyClient) -> None:
        named = await arguments.any_batch(client, batch)
        if arguments.of_calls(named):
            await _put_line(client.batches.resume(named), as_json)
        else:
            _put_batch(as_batch(await client.analyses.resume(named)), as_json)

    talk(work, as_json=as_json)


def hang_up(
    call: Annotated[str, typer.Argument(help="The call's id, as `covey items` shows it.")],
    as_json: JsonFlag = False,
) -> None:
    """Hang up one active call."""
    if not arguments.is_call(call):
        leave(f"{call!r} is not the id of a call; `covey items --status active` shows those.", Exit.usage)

    async def work(client: CoveyClient) -> None:
        body = await client.batches.hang_up(arguments.batch_id(call), arguments.call_id(call))
        if as_json:
            print_json(body)
        else:
            print_line(body.get("message") or "done")

    talk(work, as_json=as_json)


def limit(
    batch: TheBatch,
    max_concurrent: Annotated[int | None, whole("Most calls at once.")] = None,
    calls_per_second: Annotated[float | None, real("Most starts a second.", 0.001)] = None,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Change the pace, the width or the name of a batch while it runs."""
    if max_concurrent is None and calls_per_second is None and name is None:
        leave("Say what to change: --max-concurrent, --calls-per-second or --name.", Exit.usage)

    async def work(client: CoveyClient) -> None:
        instead = "only its model has limits, `concurrency` in the settings. `covey pause {}` holds it."
        async with arguments.calls_only(client, batch, instead):
            changed = client.batches.change(
                arguments.batch_id(batch), name=name, max_concurrent=max_concurrent, calls_per_second=calls_per_second
            )
            await _put_line(changed, as_json)

    talk(work, as_json=as_json)


async def _put_line(answer: Awaitable[Batch], as_json: bool) -> None:
    _put_batch(await answer, as_json)


def _put_batch(batch: Batch, as_json: bool) -> None:
    if as_json:
        print_json(batch.raw)
    else:
        print_line(line(batch))


def retry(
    batch: TheBatch,
    status: Annotated[list[str] | None, typer.Option(help="failed or cancelled; repeatable.")] = None,
    error_code: Annotated[list[str] | None, typer.Option("--error-code", help="As busy; repeatable.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay and watch it.")] = False,
    at: Moment = None,
    expires: Ends = None,
    max_concurrent: Annotated[int | None, whole("Most calls at once.")] = None,
    calls_per_second: Annotated[float | None, real("Most starts a second.", 0.001)] = None,
    max_cost: MaxCost = None,
    allow_duplicate: Annotated[
        bool, typer.Option("--allow-duplicate", help="Also if the same was asked a short while ago.")
    ] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Start a new batch of the calls of an ended one that did not succeed.

    Calls whose end is not known (outcome_unknown, no_final_answer) come along only if their code is named: their
    phones may have rung. Limits that are not given are those of that batch: its expiry, its width, its pace, and of its
    --max-cost what is left.
    """

    async def work(client: CoveyClient) -> Exit:
        instead = "`covey results {}` says which failed; `covey analyze` with their assets asks again."
        async with arguments.calls_only(client, batch, instead):
            before = await client.batches.get(arguments.batch_id(batch))
        confirm(_retry_question(before, status, error_code), yes=yes, refusal="Nothing was started.")
        started = await client.batches.retry(
            before.id,
            status=status or (),
            error_code=error_code or (),
            allow_duplicate=allow_duplicate,
            scheduled_at=at,
            expires_at=expires,
            max_concurrent=max_concurrent,
            calls_per_second=calls_per_second,
            max_cost=max_cost,
        )
        tell_started(started, as_json=as_json and not watch, watching=watch)
        return await follow(client, started.batch_id, as_json=as_json) if watch else Exit.ok

    raise typer.Exit(talk(work, as_json=as_json))


def _retry_question(batch: Batch, status: list[str] | None, error_code: list[str] | None) -> str:
    chosen = ", ".join([*(status or []), *(error_code or [])]) or "failed"
    live = " Real phones will ring." if batch.live else ""
    return f"Start a new batch of the calls of {batch.id} that are {chosen}?{live}"
