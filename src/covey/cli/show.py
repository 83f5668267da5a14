"""list, show, items, export: what there is, and what came of it."""

from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.text import Text

from covey.cli import arguments, videos
from covey.cli.arguments import whole
from covey.cli.exits import Exit
from covey.cli.output import (
    JsonFlag,
    clean,
    clean_lines,
    data,
    print_json,
    print_table,
    put_bytes,
    put_facts,
    say,
    span,
    when,
)
from covey.cli.session import leave, taking, talk
from covey.cli.view import Seen, as_batch, render, state, state_in_list
from covey.client import CoveyClient
from covey.client.models import BatchRow, Call
from covey.client.reading import items as listed

BatchOrNewest = Annotated[str | None, typer.Argument(help="The batch; the newest if none is named.")]


def list_batches(
    status: Annotated[str | None, typer.Option(help="Only queued, processing, completed, cancelled or failed.")] = None,
    page: Annotated[int, whole("Which page.")] = 1,
    limit: Annotated[int, whole("Batches a page.", most=100)] = 20,
    of_videos: Annotated[bool, typer.Option("--videos", help="Batches of videos, not of calls.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the batches of calls, or with --videos those of videos, newest first."""
    if of_videos:
        videos.batches(page, min(limit, 50), as_json)
        return

    async def work(client: CoveyClient) -> None:
        found = await client.batches.page(page, limit, status)
        if as_json:
            print_json(found.raw)
            return
        columns = ("id", "name", "state", "total", "completed", "failed", "active", "waiting", "cancelled", "trunk")
        print_table(columns, (_batch_row(batch) for batch in found.batches), right=columns[3:9])
        if not (found.batches or status) and page == 1 and (await client.analyses.page(1, 1)).batches:
            say("There are no batches of calls; `covey list --videos` lists those of videos.")
        if found.pagination.has_next:
            say(f"Page {page} of {found.pagination.total_pages}; `--page {page + 1}` shows the next one.")

    talk(work, as_json=as_json)


def _batch_row(batch: BatchRow) -> tuple[object, ...]:
    counts = (batch.total_calls, batch.completed, batch.failed, batch.active, batch.waiting, batch.cancelled)
    shown = state_in_list(state(batch), batch.holding)
    return batch.id, batch.name, shown, *(f"{count:,}" for count in counts), batch.trunk


def show(
    id: Annotated[str | None, typer.Argument(metavar="BATCH|CALL", help="The newest batch if none is named.")] = None,
    history: Annotated[bool, typer.Option("--history", help="What happened to the batch, and by whom.")] = False,
    skipped: Annotated[bool, typer.Option("--skipped", help="The rows that were left out.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show a batch and what holds it back, or a call and what came of it."""

    async def work(client: CoveyClient) -> None:
        if id and arguments.is_call(id):
            await _show_call(client, id, as_json=as_json)
            return
        if history or skipped:
            put = _show_history if history else _show_skipped
            async with arguments.calls_only(client, id, "`covey show {}` shows how it stands."):
                await put(client, await arguments.this_or_newest(client, id), as_json=as_json)
        else:
            await _show_batch(client, await arguments.any_batch(client, id), as_json=as_json)

    talk(work, as_json=as_json)


async def _show_batch(client: CoveyClient, batch_id: str, *, as_json: bool) -> None:
    of_calls = arguments.of_calls(batch_id)
    batch = await client.batches.get(batch_id) if of_calls else as_batch(await client.analyses.get(batch_id))
    if as_json:
        print_json(batch.raw)
        return
    seen = Seen()
    seen.add(batch)
    console = data()
    console.soft_wrap = False
    console.print(render(seen))
    if batch.is_complete and not of_calls:
        say(f"`covey results {clean(batch.id)}` shows the answers.")
    elif batch.is_complete:
        say(f"`covey items {clean(batch.id)}` lists its calls, `covey export {clean(batch.id)}` writes them to a file.")


async def _show_history(client: CoveyClient, batch_id: str, *, as_json: bool) -> None:
    events = await client.batches.history(batch_id)
    if as_json:
        print_json([event.raw for event in events])
        return
    print_table(("when", "what", "by"), ((when(event.at), event.event, event.key or "covey") for event in events))


async def _show_skipped(client: CoveyClient, batch_id: str, *, as_json: bool) -> None:
    report = await client.batches.report(batch_id)
    if as_json:
        print_json(report)
        return
    columns = ("row", "column", "value", "message", "suggestion")
    rows = [row for row in listed(report.get("invalidRows")) if isinstance(row, dict)]
    print_table(("line", *columns[1:]), ([row.get(name) or "" for name in columns] for row in rows), right=("line",))


async def _show_call(client: CoveyClient, text: str, *, as_json: bool) -> None:
    call = await client.batches.call(arguments.batch_id(text), arguments.call_id(text))
    if as_json:
        print_json(call.raw)
        return
    put_call(call)


def put_call(call: Call) -> None:
    """One call on stdout: what came of it, what was said, and what the network says."""
    outcome = call.result.outcome if call.result else ""
    cells = call.metadata or (call.result.metadata if call.result else {})
    put_facts(
        (
            ("call", call.job_id),
            ("number", call.phone_number),
            ("line in the list", call.row),
            ("status", f"{call.status}, {outcome}" if outcome else call.status),
            ("error", f"{call.error} ({call.error_code})" if call.error_code else call.error),
            ("dialled", when(call.start_time)),
            ("answered", when(call.answered_at)),
            ("ended", when(call.end_time)),
            ("duration", span(call.duration)),
            ("talked", span(call.talk_seconds)),
            ("next attempt", when(call.next_attempt_at)),
            ("attempts before", len(call.attempts) or None),
            *_network(call),
            *((f"· {name}", value) for name, value in cells.items()),
        )
    )
    put_transcript(call)


def put_transcript(call: Call) -> None:
    """What was said, a line a turn."""
    if call.result is None:
        return
    console = data()
    console.print()
    if not call.result.turns:
        console.print(Text(clean_lines(call.result.transcript)))
    for turn in call.result.turns:
        sure = f" ({turn.confidence:.0%} sure)" if turn.confidence < 1 else ""
        said = f"pressed {clean(turn.digit)}" if turn.digit else f"{clean(turn.text)}{sure}"
        text = Text(f"{turn.at:6.1f} s  ", "dim").append(f"{clean(turn.speaker):>6}  ", "bold").append(said)
        console.print(text)


def _network(call: Call) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = []
    if call.sip:
        facts += [("Call-ID", call.sip.call_id), ("SIP", f"{call.sip.code or ''} {call.sip.text}".strip())]
    if call.media:
        packets = f"{call.media.sent:,} sent, {call.media.received:,} received, {call.media.lost:,} lost"
        facts += [("codec", call.media.codec), ("packets", packets)]
    return [*facts, ("recording", call.recording_url)]


def items(
    batch: BatchOrNewest = None,
    status: Annotated[
        str | None, typer.Option(help="Only waiting, active, completed, failed or cancelled ones.")
    ] = None,
    page: Annotated[int, whole("Which page.")] = 1,
    limit: Annotated[int, whole("Calls a page.", most=100)] = 50,
    every: Annotated[bool, typer.Option("--all", help="All pages.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the calls of a batch in the order of its list."""

    async def work(client: CoveyClient) -> None:
        async with arguments.calls_only(client, batch, "`covey results {}` lists its videos."):
            chosen = await arguments.this_or_newest(client, batch)
            if every:
                calls = [call async for call in client.batches.calls(chosen, status)]
                _put_calls(calls, as_json=as_json)
                return
            found = await client.batches.calls_page(chosen, page, limit, status)
        if as_json:
            print_json(found.raw)
            return
        _put_calls(list(found.calls), as_json=False)
        if found.pagination.has_next:
            say(f"Page {page} of {found.pagination.total_pages}; `--page {page + 1}` shows the next one, `--all` all.")

    talk(work, as_json=as_json)


def _put_calls(calls: list[Call], *, as_json: bool) -> None:
    if as_json:
        print_json([call.raw for call in calls])
        return
    columns = ("line", "id", "number", "status", "outcome", "seconds", "error")
    print_table(columns, map(call_row, calls), right=("line", "seconds"))


def call_row(call: Call) -> tuple[object, ...]:
    """A call as a row of a table."""
    outcome = call.outcome or (call.result.outcome if call.result else "") or call.error_code
    seconds = "" if call.duration is None else f"{call.duration:g}"
    return call.row or "", call.job_id, call.phone_number, call.status, outcome, seconds, call.error


def export(
    batch: BatchOrNewest = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; stdout if none.")] = None,
    format: Annotated[str, typer.Option(help="csv or jsonl.")] = "csv",
    raw: Annotated[bool, typer.Option("--raw", help="Don't neutralise formulas: a spreadsheet may run them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
) -> None:
    """Write the results of a batch: the columns of the list first, then what came of each call."""
    chosen = "jsonl" if as_json else format
    if chosen not in ("csv", "jsonl"):
        leave(f"--format is csv or jsonl, not {chosen}.", Exit.usage)

    async def work(client: CoveyClient) -> None:
        async with arguments.calls_only(client, batch, "`covey results {} --json` writes its answers."):
            batch_id = await arguments.this_or_newest(client, batch)
            if output is None:
                async with taking(client.batches.export(batch_id, chosen, raw=raw)) as pieces:
                    async for piece in pieces:
                        put_bytes(piece)
                return
            await export_to(client, batch_id, output, chosen, raw=raw)
        say(f"Written to {output}.")

    talk(work)


async def export_to(client: CoveyClient, batch_id: str, target: Path, format: str, *, raw: bool = False) -> None:
    """Write an export to a file that is there only when it is whole."""
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            await _fill(client, batch_id, file, format, raw=raw)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


async def _fill(client: CoveyClient, batch_id: str, file: BinaryIO, format: str, *, raw: bool) -> None:
    async for piece in client.batches.export(batch_id, format, raw=raw):
        file.write(piece)
