"""dnc and person: whom nobody calls, and what is known about somebody."""

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from covey.cli.exits import Exit
from covey.cli.output import JsonFlag, YesFlag, clean, print_json, print_table, put_facts, say, say_table, when
from covey.cli.session import SHOWN_ROWS, confirm, leave, say_rows, talk
from covey.cli.submit import Column, Encoding, Region, upload_bar
from covey.client import BlockedList, Blocking, CoveyClient
from covey.client.reading import items

dnc = typer.Typer(help="The numbers that are never called.", no_args_is_help=True)

NumbersFile = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="A CSV as for submit, or numbers alone.", exists=True, dir_okay=False),
]
Reason = Annotated[str, typer.Option(help="Why, for those who look later.")]


@dnc.command("list")
def list_numbers(as_json: JsonFlag = False) -> None:
    """List the numbers that are never called."""

    async def work(client: CoveyClient) -> list[dict[str, Any]]:
        return [entry async for entry in client.do_not_call.all()]

    found = talk(work, as_json=as_json)
    if as_json:
        print_json(found)
    else:
        print_table(
            ("number", "reason", "since"), ((e.get("number"), e.get("reason"), when(e.get("addedAt"))) for e in found)
        )


@dnc.command()
def add(
    numbers: Annotated[list[str], typer.Argument(help="Numbers, as +14155550123.")],
    reason: Reason = "",
    region: Region = None,
    as_json: JsonFlag = False,
) -> None:
    """Never call these numbers, also not in batches that are running."""

    async def work(client: CoveyClient) -> Blocking:
        return await client.do_not_call.add(numbers, reason, region=region)

    done = talk(work, as_json=as_json)
    if as_json:
        print_json(done.raw)
    _say_added(done.added, done.known, done.duplicates)
    if done.invalid:
        say_table(("value", "what is wrong"), ((bad.value, bad.message) for bad in done.invalid[:SHOWN_ROWS]))
        leave(f"{len(done.invalid):,} were not understood and are not on it.", Exit.usage)


@dnc.command("import")
def import_numbers(
    file: NumbersFile,
    reason: Reason = "",
    region: Region = None,
    phone_column: Column = None,
    encoding: Encoding = None,
    as_json: JsonFlag = False,
) -> None:
    """Never call the numbers in a file. Exit code 2 if a line was left out."""

    async def work(client: CoveyClient) -> BlockedList:
        with upload_bar(file.name) as on_progress:
            return await client.do_not_call.import_list(
                file, reason, region=region, phone_column=phone_column, encoding=encoding, on_progress=on_progress
            )

    done = talk(work, as_json=as_json)
    if as_json:
        print_json(done.raw)
    _say_added(done.added, done.known, done.duplicates)
    if not done.complete:
        _leave_with_rows(done)


@dnc.command()
def remove(
    number: Annotated[str, typer.Argument(help="The number, as +14155550123.")],
    region: Region = None,
    as_json: JsonFlag = False,
) -> None:
    """Allow calls to a number again."""

    async def work(client: CoveyClient) -> None:
        await client.do_not_call.remove(number, region=region)

    talk(work, as_json=as_json)
    if as_json:
        print_json({"removed": number})
    say(f"{number} may be called again.")


def _say_added(added: int, known: int, duplicates: int) -> None:
    say(f"{added:,} numbers are new on the list, {known:,} were on it before.")
    if duplicates:
        say(f"{duplicates:,} repeat one of these.")


def _leave_with_rows(done: BlockedList) -> NoReturn:
    """Show the lines that were left out, and end the command."""
    say_rows(done.invalid_rows[:SHOWN_ROWS])
    if done.invalid_count > SHOWN_ROWS:
        say(f"… and {done.invalid_count - SHOWN_ROWS:,} more; --json lists up to 1,000.")
    if done.cut_off_at is not None:
        say(f"Nothing after line {done.cut_off_at:,} was read.", "red")
    leave(f"{done.invalid_count:,} were not understood and are not on it.", Exit.usage)


def person(
    number: Annotated[str, typer.Argument(help="The number, as +14155550123.")],
    erase: Annotated[bool, typer.Option("--erase", help="Erase it: number, cells, transcripts, recordings.")] = False,
    region: Region = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show every call to a number, or erase what is known about the person."""
    if erase:
        confirm(f"Erase what is known about {number} for good?", yes=yes)

    async def work(client: CoveyClient) -> dict[str, Any]:
        return await (client.people.erase if erase else client.people.get)(number, region=region)

    body = talk(work, as_json=as_json)
    if as_json:
        print_json(body)
        return
    if erase:
        rows = body.get("skippedRows", 0)
        say(f"Erased: {body.get('calls', 0)} calls, {body.get('recordings', 0)} recordings, {rows} skipped rows.")
        for sentence in items(body.get("kept")):
            say(f"Kept: {clean(sentence)}.")
        return
    put_facts((name, value) for name, value in body.items() if isinstance(value, (str, int, bool)))
    calls = [call for call in items(body.get("calls")) if isinstance(call, dict)]
    columns = ("_id", "batchId", "status", "outcome", "error")
    print_table(columns, ([call.get(column) or "" for column in columns] for call in calls))
