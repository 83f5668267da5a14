"""submit, call, validate, template: everything that begins with a list or a number."""

import asyncio
import csv
import hashlib
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from covey.cli import arguments
from covey.cli import arguments as times
from covey.cli.arguments import real, whole
from covey.cli.exits import Exit
from covey.cli.output import JsonFlag, clean, counted, print_json, print_line, print_table, put_facts, say, stderr, when
from covey.cli.session import leave, talk
from covey.cli.watch import follow
from covey.client import CoveyClient
from covey.client.batches import StartOptions
from covey.client.errors import ApiError
from covey.client.models import InvalidRow, StartedBatch
from covey.client.reading import items, read
from covey.client.upload import OnProgress

File = Annotated[Path, typer.Argument(help="The list, a CSV.", exists=True, dir_okay=False, readable=True)]
Agent = Annotated[str, typer.Option("--agent", "-a", help="Who calls: an agent's id or name.", show_default=False)]
Region = Annotated[str | None, typer.Option(help="Country of numbers without +, as US or DE.")]
Column = Annotated[str | None, typer.Option(help="Column with the numbers, if not phone_number.")]
Encoding = Annotated[str | None, typer.Option(help="utf-8, windows-1252 or utf-16.")]
Trunk = Annotated[str | None, typer.Option(help="Trunk to call over.")]
SkipDuplicates = Annotated[bool, typer.Option("--skip-duplicates", help="Call a number once only.")]
SkipInvalid = Annotated[bool, typer.Option("--skip-invalid", help="Leave bad rows out and call the others.")]
MaxCost = Annotated[str | None, typer.Option(metavar="AMOUNT", help="Most it may cost, as 25.00; needs prices.")]
Moment = Annotated[datetime | None, typer.Option(parser=times.moment, metavar="TIME", help="Not before this time.")]
Ends = Annotated[datetime | None, typer.Option(parser=times.moment, metavar="TIME", help="Start no call after it.")]


def submit(
    file: File,
    agent: Agent,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay and watch it.")] = False,
    name: Annotated[str | None, typer.Option(help="A name for the batch.")] = None,
    trunk: Trunk = None,
    at: Moment = None,
    expires: Ends = None,
    region: Region = None,
    phone_column: Column = None,
    encoding: Encoding = None,
    skip_invalid: SkipInvalid = False,
    skip_duplicates: SkipDuplicates = False,
    allow_duplicate: Annotated[bool, typer.Option(help="Also if this file was started before.")] = False,
    max_concurrent: Annotated[int | None, whole("Most calls at once.")] = None,
    calls_per_second: Annotated[float | None, real("Most starts a second.", 0.001)] = None,
    attempts: Annotated[int | None, whole("Tries a call has in all.", most=10)] = None,
    gap: Annotated[list[str] | None, typer.Option(help="Wait between tries, as 30m or 1d2h; repeatable.")] = None,
    max_cost: MaxCost = None,
    as_json: JsonFlag = False,
) -> None:
    """Start a batch: every row of FILE becomes a phone call.

    Bad rows stop the start and are shown; nothing is called then. With --watch and --json a line of JSON is
    written per change.
    """
    options = StartOptions(
        name=name,
        trunk=trunk,
        region=region,
        phone_column=phone_column,
        encoding=encoding,
        on_invalid="skip" if skip_invalid else None,
        on_duplicate="skip" if skip_duplicates else None,
        allow_duplicate=allow_duplicate or None,
        max_concurrent=max_concurrent,
        calls_per_second=calls_per_second,
        scheduled_at=at,
        expires_at=expires,
        smart_callback=_smart_callback(attempts, gap),
        max_cost=max_cost,
    )

    async def work(client: CoveyClient) -> Exit:
        chosen = await arguments.agent_id(client, agent)
        with upload_bar(file.name) as on_progress:
            started = await start_once(client, file, chosen, options, on_progress)
        if started.replayed:
            _tell_again(started, as_json=as_json)
            return Exit.conflict
        tell_started(started, as_json=as_json and not watch, watching=watch)
        return await follow(client, started.batch_id, as_json=as_json) if watch else Exit.ok

    raise typer.Exit(talk(work, as_json=as_json))


async def start_once(
    client: CoveyClient, file: Path, agent: str, options: StartOptions, on_progress: OnProgress | None = None
) -> StartedBatch:
    """Start a batch that the very same command has not started in the last 24 hours, else answer that one, replayed.

    The idempotency key is made of all that is sent, so that a command given twice calls nobody twice. A refusal kept
    from before does not count: what was wrong may have been put right since, so the next key of the same row is
    tried. With `allow_duplicate` every start is a new one.
    """
    if options.allow_duplicate:
        return await client.batches.start(file, agent, options, on_progress=on_progress)
    content = hashlib.sha256(await asyncio.to_thread(file.read_bytes)).hexdigest()
    meaning = json.dumps([content, client.profile.workspace, options.form(agent)])
    for attempt in itertools.count():
        key = hashlib.sha256(f"{meaning} {attempt}".encode()).hexdigest()
        try:
            return await client.batches.start(file, agent, options, on_progress=on_progress, idempotency_key=key)
        except ApiError as error:
            if not error.replayed:
                raise
    raise AssertionError("there is always another key")


def _tell_again(started: StartedBatch, *, as_json: bool) -> None:
    if as_json:
        print_json(started.raw)
    name = clean(started.batch_id)
    say(f"This list was started so in the last 24 hours, as {name}. Nothing new was started.", "red")
    say(f"See it with `covey show {name}`; `--allow-duplicate` starts another one.")


def _smart_callback(attempts: int | None, gaps: list[str] | None) -> dict[str, Any] | None:
    if attempts is None and not gaps:
        return None
    chosen: dict[str, Any] = {"enabled": True}
    if attempts is not None:
        chosen |= {"enabled": attempts > 1, "maxAttempts": attempts}
    if gaps:
        chosen["gaps"] = [times.wire_gap(each) for each in gaps]
    return chosen


@contextmanager
def upload_bar(name: str) -> Iterator[OnProgress]:
    """A bar while the file goes up, on a terminal and for files that take a moment."""
    console = stderr()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(clean(name))
        yield lambda sent, size: bar.update(task, completed=sent, total=size)


def tell_started(started: StartedBatch, *, as_json: bool, watching: bool) -> None:
    """What came of a start: the batch's id on stdout, unless it is watched, and what is to be known of it."""
    if as_json:
        print_json(started.raw)
        return
    say(f"{counted(started.total_calls, 'call')} accepted.", "green")
    if started.scheduled_at:
        say(f"It starts at {when(started.scheduled_at)}.")
    if started.invalid_count:
        name = clean(started.batch_id)
        say(f"{started.invalid_count:,} bad rows were left out: `covey show {name} --skipped` lists them.")
    if started.duplicates:
        fate = "left out" if started.duplicates_skipped else "called too, one after the other"
        say(f"{started.duplicates:,} rows repeat a number; they are {fate}.")
    for warning in started.warnings:
        say(warning, "yellow")
    if started.live:
        say(f"Trunk {started.trunk} is live: real phones will ring.", "bold red")
    if not watching:
        print_line(started.batch_id)
        say(f"Watch it with `covey watch {clean(started.batch_id)}`, stop it with `covey cancel …`.")


def call(
    number: Annotated[str, typer.Argument(help="The number, as +14155550123.")],
    agent: Agent,
    var: Annotated[list[str] | None, typer.Option(help="A placeholder's value, as first_name=Ada; repeatable.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Place a single call."""
    variables = dict(_pair(each) for each in var or [])

    async def work(client: CoveyClient) -> None:
        started = await client.calls.start(number, await arguments.agent_id(client, agent), variables)
        if as_json:
            print_json(started.raw)
        else:
            print_line(started.call_id)
            say(f"See how it goes with `covey show {clean(started.call_id)}`.")

    talk(work, as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} should be name=value", param_hint="--var")
    return name, value


def validate(
    file: File,
    agent: Annotated[str | None, typer.Option("--agent", "-a", help="Also check its placeholders.")] = None,
    trunk: Trunk = None,
    region: Region = None,
    phone_column: Column = None,
    encoding: Encoding = None,
    skip_invalid: SkipInvalid = False,
    skip_duplicates: SkipDuplicates = False,
    as_json: JsonFlag = False,
) -> None:
    """Check a list and start nothing. Exit code 2 if rows are bad."""
    options = StartOptions(
        trunk=trunk,
        region=region,
        phone_column=phone_column,
        encoding=encoding,
        on_invalid="skip" if skip_invalid else None,
        on_duplicate="skip" if skip_duplicates else None,
    )

    async def work(client: CoveyClient) -> dict[str, Any]:
        chosen = await arguments.agent_id(client, agent) if agent else None
        with upload_bar(file.name) as on_progress:
            return await client.batches.validate(file, chosen, options, on_progress=on_progress)

    report = talk(work, as_json=as_json)
    if as_json:
        print_json(report)
    else:
        _tell_report(report)
    if report.get("invalidCount") and not skip_invalid:
        count = report["invalidCount"]
        leave(f"{count:,} rows can't be called. `covey submit --skip-invalid` leaves them out.", Exit.usage)
    say("The list is fine.", "green")


def _tell_report(report: dict[str, Any]) -> None:
    put_facts(
        (
            ("calls", report.get("totalCalls")),
            ("bad rows", report.get("invalidCount")),
            ("repeated numbers", report.get("duplicates")),
            ("empty lines", report.get("emptyLines")),
            ("columns", ", ".join(map(str, items(report.get("columns"))))),
            ("numbers in", report.get("phoneColumn")),
            ("separator", report.get("separator")),
        )
    )
    for warning in items(report.get("warnings")):
        say(warning, "yellow")
    rows = [read(InvalidRow, row) for row in items(report.get("invalidRows"))]
    if rows:
        cells = [(row.row, row.column, row.value, row.message, row.suggestion) for row in rows]
        print_table(("line", "column", "value", "what is wrong", "suggestion"), cells, right=("line",))


def template(as_json: JsonFlag = False) -> None:
    """Write a CSV with the right header to stdout; as JSON its columns."""

    async def work(client: CoveyClient) -> str:
        return await client.batches.template()

    text = talk(work, as_json=as_json)
    if as_json:
        print_json({"columns": next(csv.reader(text.splitlines()), [])})
    else:
        print_line(text.rstrip("\r\n"))
