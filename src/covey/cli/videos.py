"""analyze, assets, results: questions about videos, and their answers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from covey.cli.arguments import whole
from covey.cli.exits import Exit
from covey.cli.output import (
    JsonFlag,
    YesFlag,
    clean,
    clean_lines,
    counted,
    data,
    print_json,
    print_line,
    print_table,
    put_facts,
    say,
    span,
    when,
)
from covey.cli.session import confirm, leave, taking, talk
from covey.cli.submit import MaxCost
from covey.cli.uploads import added, named_videos
from covey.cli.view import state_in_list
from covey.cli.watch import follow
from covey.client import CoveyClient
from covey.client.analysis import AnalysisBatch, Asset, StartedAnalysis

LOCAL_FACTS = "local-facts"

app = typer.Typer(help="The videos on the server.", no_args_is_help=True)

Videos = Annotated[list[str], typer.Argument(help="Video files, or ids of assets.", show_default=False)]
Files = Annotated[list[Path], typer.Argument(help="Files.", exists=True, dir_okay=False, readable=True)]


def batches(
    page: Annotated[int, whole("Which page.")] = 1,
    limit: Annotated[int, whole("Batches a page.", most=50)] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List the batches of videos, newest first."""

    async def work(client: CoveyClient) -> None:
        found = await client.analyses.page(page, limit)
        if as_json:
            print_json([batch.raw for batch in found.batches])
            return
        columns = ("id", "state", "total", "ready", "failed", "processing", "queued", "canceled", "model", "created")
        print_table(columns, map(_batch_row, found.batches), right=columns[2:8])
        if page < found.pages:
            say(f"Page {page} of {found.pages}; `--page {page + 1}` shows the next one.")

    talk(work, as_json=as_json)


def _batch_row(batch: AnalysisBatch) -> Sequence[object]:
    counts = (batch.total_items, batch.ready_items, batch.failed_items, batch.processing_items, batch.queued_items)
    shown = [f"{count:,}" for count in (*counts, batch.canceled_items)]
    state = state_in_list("paused" if batch.paused else batch.status, batch.holding)
    return batch.batch_id, state, *shown, batch.model_name, when(batch.created_at)


def analyze(
    videos: Videos,
    prompt: Annotated[str | None, typer.Option("--prompt", "-p", help="What is asked about each.")] = None,
    schema: Annotated[
        Path | None, typer.Option(help="A JSON schema that each answer fits.", exists=True, dir_okay=False)
    ] = None,
    segments: Annotated[
        Path | None, typer.Option(help="Segment definitions, JSON: segments with times.", exists=True, dir_okay=False)
    ] = None,
    model: Annotated[str, typer.Option(help="Which model answers, by its name in the settings.")] = LOCAL_FACTS,
    max_tokens: Annotated[int | None, whole("Longest answer.")] = None,
    max_cost: MaxCost = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, watch it, and show the answers.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask something about VIDEOS: files are uploaded, assets are named by their ids; each is an item of one batch.

    What is asked is checked before the first upload, and the files as far as their names and first bytes tell: whether
    one can be decoded shows once it is there. `covey results` shows the answers, also while the batch goes on; an
    answer's custom id is the name of its file. With --watch --json each change of the batch is a line of JSON, and then
    each answer is one.
    """
    defaults = _defaults(prompt, schema, segments, max_tokens)
    asked: dict[str, Any] = {
        "model": model,
        "mode": "time_based_metadata" if segments else "general",
        "defaults": defaults,
    }

    async def work(client: CoveyClient) -> Exit:
        started = await _started(client, videos, asked, max_cost)
        if not watch:
            print_json(started.raw) if as_json else print_line(started.batch_id)
        say(f"{counted(started.total_items, 'video')} accepted as {started.batch_id}.", "green")
        if not watch:
            return Exit.ok
        ended = await follow(client, started.batch_id, as_json=as_json)
        if ended is not Exit.interrupted:
            await put_results(client, started.batch_id, as_json=as_json)
        return ended

    raise typer.Exit(talk(work, as_json=as_json))


async def _started(
    client: CoveyClient, names: Sequence[str], options: dict[str, Any], max_cost: str | None
) -> StartedAnalysis:
    """Check, upload, create; what was uploaded for nothing is said."""
    videos = await named_videos(client, names)
    if videos.files:
        await client.analyses.check(videos.requests, **options)
    try:
        return await client.analyses.create(await videos.send(client), **options, max_cost=max_cost)
    except BaseException:
        videos.tell_left()
        raise


def _defaults(prompt: str | None, schema: Path | None, segments: Path | None, max_tokens: int | None) -> dict[str, Any]:
    if segments is None and prompt is None:
        leave("Say what is asked: --prompt, or --segments for segments with times.", Exit.usage)
    if segments is not None and (prompt or schema):
        leave("--segments takes neither --prompt nor --schema: each definition says what is asked.", Exit.usage)
    defaults: dict[str, Any] = {"prompt": {"input_text": prompt}} if prompt else {}
    if schema is not None:
        defaults["response_format"] = {"type": "json_schema", "json_schema": _json_of(schema)}
    if segments is not None:
        defaults["response_format"] = {"type": "segment_definitions", "segment_definitions": _json_of(segments)}
    if max_tokens is not None:
        defaults["max_tokens"] = max_tokens
    return defaults


def _json_of(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        leave(f"{file}: it is not JSON: {error}", Exit.usage)


def results(
    batch: Annotated[str | None, typer.Argument(help="The batch; the newest of videos if none is named.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the answers of a batch of videos as they are now. With --json a line of JSON an item."""

    async def work(client: CoveyClient) -> None:
        batch_id = await _this_or_newest(client, batch)
        await put_results(client, batch_id, as_json=as_json)
        held = (await client.analyses.get(batch_id)).holding
        if held is not None:
            say(f"Held back: {held.message or held.code}", "yellow")

    talk(work, as_json=as_json)


async def _this_or_newest(client: CoveyClient, text: str | None) -> str:
    if text:
        return text.strip().lower()
    page = await client.analyses.page(1, 1)
    if not page.batches:
        leave("There is no batch of videos yet; `covey analyze VIDEO --prompt …` starts one.", Exit.not_found)
    return page.batches[0].batch_id


async def put_results(client: CoveyClient, batch_id: str, *, as_json: bool) -> None:
    """The answers on stdout, in the order of the requests."""
    console = data()
    async with taking(client.analyses.results(batch_id)) as lines:
        async for line in lines:
            if as_json:
                console.out(json.dumps(line, ensure_ascii=True))
            else:
                _put_answer(console, line)


def _put_answer(console: Console, line: dict[str, Any]) -> None:
    console.print()
    console.print(_head(line))
    answer, error = line.get("data"), line.get("error")
    if answer:
        console.print(Text(clean_lines(_pretty(str(answer["data"])))))
    if error:
        console.print(Text(f"{clean(error.get('message'))} ({clean(error.get('code'))})", "red"))


def _head(line: dict[str, Any]) -> Text:
    """Which video an answer is of, where its batch said so, and how it stands."""
    head = Text(clean(line.get("custom_id") or line["task_id"]), "bold")
    head.append(f"  {clean(line['status'])}", _colour(line["status"]))
    return head.append(f"  {clean(line['task_id'])}", "dim") if line.get("custom_id") else head


def _colour(status: str) -> str:
    return {"ready": "green", "failed": "red", "canceled": "yellow"}.get(status, "cyan")


def _pretty(answer: str) -> str:
    """JSON is indented, text stays as it is."""
    try:
        found = json.loads(answer)
    except ValueError:
        return answer
    return json.dumps(found, ensure_ascii=False, indent=2) if isinstance(found, dict | list) else answer


@app.command("add")
def add(files: Files, as_json: JsonFlag = False) -> None:
    """Upload files, and wait until each was looked at. Prints the ids of those that can be used.

    A file that cannot be used does not stop the others; then the exit code is 1.
    """

    async def work(client: CoveyClient) -> Exit:
        return Exit.ok if all([await added(client, file, as_json=as_json) for file in files]) else Exit.failed

    raise typer.Exit(talk(work, as_json=as_json))


@app.command("fetch")
def fetch(url: Annotated[str, typer.Argument(help="Where the file is.")], as_json: JsonFlag = False) -> None:
    """Have the server fetch a file. Prints its id."""

    async def work(client: CoveyClient) -> None:
        asset = await client.assets.ready((await client.assets.fetch(url)).id)
        print_json(asset.raw) if as_json else print_line(asset.id)

    talk(work, as_json=as_json)


@app.command("list")
def list_assets(as_json: JsonFlag = False) -> None:
    """List the assets, newest first."""

    async def work(client: CoveyClient) -> None:
        found = [asset async for asset in client.assets.list()]
        if as_json:
            print_json([asset.raw for asset in found])
            return
        print_table(("id", "name", "status", "lasts", "size", "created"), map(_row, found), right=("size",))

    talk(work, as_json=as_json)


def _row(asset: Asset) -> Sequence[object]:
    size = f"{asset.size:,}" if asset.size is not None else ""
    return asset.id, asset.filename, asset.status, span(asset.duration), size, when(asset.created_at)


@app.command("show")
def show_asset(asset: Annotated[str, typer.Argument(help="Its id.")], as_json: JsonFlag = False) -> None:
    """Show an asset."""

    async def work(client: CoveyClient) -> None:
        found = await client.assets.get(asset)
        if as_json:
            print_json(found.raw)
            return
        put_facts(
            (
                ("id", found.id),
                ("name", found.filename),
                ("status", found.status),
                ("kind", found.file_type),
                ("lasts", span(found.duration)),
                ("size", found.size),
                ("created", when(found.created_at)),
                ("error", found.error.get("message")),
            )
        )

    talk(work, as_json=as_json)


@app.command("delete")
def delete(
    asset: Annotated[str, typer.Argument(help="Its id.")], yes: YesFlag = False, as_json: JsonFlag = False
) -> None:
    """Delete an asset with its file. Items about it that have not started fail."""

    async def work(client: CoveyClient) -> None:
        found = await client.assets.get(asset)
        confirm(f"Delete {found.filename or found.id}? Items about it that have not started will fail.", yes=yes)
        await client.assets.delete(found.id)

    talk(work, as_json=as_json)
