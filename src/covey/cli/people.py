"""dnc and person: whom nobody calls, and what is known about somebody."""

from pathlib import Path
from typing import Annotated, Any

import typer

from covey.cli.exits import Exit
from covey.cli.output import JsonFlag, YesFlag, clean, put_facts, put_json, put_table, say, say_table
from covey.cli.session import SHOWN_ROWS, confirm, leave, talk
from covey.client import Blocking, CoveyClient
from covey.client.reading import items

PIECE = 5000

dnc = typer.Typer(help="The numbers that are never called.", no_args_is_help=True)

Region = Annotated[str | None, typer.Option(help="Country of numbers without +, as US or DE.")]
Reason = Annotated[str, typer.Option(help="Why, for those who look later.")]


@dnc.command("list")
def list_numbers(as_json: JsonFlag = False) -> None:
    """List the numbers that are never called."""

    async def work(client: CoveyClient) -> list[dict[str, Any]]:
        return [entry async for entry in client.do_not_call.all()]

    found = talk(work, as_json=as_json)
    if as_json:
        put_json(found)
    else:
        put_table(("number", "reason", "since"), ([e.get(k) for k in ("number", "reason", "addedAt")] for e in found))


@dnc.command()
def add(
    numbers: Annotated[list[str], typer.Argument(help="Numbers, as +14155550123.")],
    reason: Reason = "",
    region: Region = None,
    as_json: JsonFlag = False,
) -> None:
    """Never call these numbers, also not in batches that are running."""
    _add(numbers, reason, region, as_json=as_json)


@dnc.command("import")
def import_numbers(
    file: Annotated[Path, typer.Argument(help="A number a line, or a CSV with the numbers first.", exists=True)],
    reason: Reason = "",
    region: Region = None,
    as_json: JsonFlag = False,
) -> None:
    """Never call the numbers in a file."""
    numbers = _numbers(file)
    if not numbers:
        leave(f"{file} holds no number.", Exit.usage)
    _add(numbers, reason, region, as_json=as_json)


@dnc.command()
def remove(
    number: Annotated[str, typer.Argument(help="The number, as +14155550123.")], as_json: JsonFlag = False
) -> None:
    """Allow calls to a number again."""

    async def work(client: CoveyClient) -> None:
        await client.do_not_call.remove(number)

    talk(work, as_json=as_json)
    if as_json:
        put_json({"removed": number})
    say(f"{number} may be called again.")


def _add(numbers: list[str], reason: str, region: str | None, *, as_json: bool) -> None:
    async def work(client: CoveyClient) -> list[Blocking]:
        pieces = (numbers[start : start + PIECE] for start in range(0, len(numbers), PIECE))
        return [await client.do_not_call.add(piece, reason, region=region) for piece in pieces]

    done = talk(work, as_json=as_json)
    bad = [number for each in done for number in each.invalid]
    added, known = sum(each.added for each in done), sum(each.known for each in done)
    if as_json:
        put_json({"added": added, "known": known, "invalid": [number.raw for number in bad]})
    say(f"{added:,} numbers are new on the list, {known:,} were on it before.")
    if bad:
        say_table(("value", "what is wrong"), ((number.value, number.message) for number in bad[:SHOWN_ROWS]))
        leave(f"{len(bad):,} were not understood and are not on it.", Exit.usage)


def _numbers(file: Path) -> list[str]:
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        leave(f"{file} is not UTF-8 (byte {error.start}).", Exit.usage)
    cells = (line.replace(";", ",").split(",")[0].strip().strip('"') for line in lines)
    return [cell for cell in cells if any(character.isdigit() for character in cell)]


def person(
    number: Annotated[str, typer.Argument(help="The number, as +14155550123.")],
    erase: Annotated[bool, typer.Option("--erase", help="Erase it: number, cells, transcripts, recordings.")] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show every call to a number, or erase what is known about the person."""
    if erase:
        confirm(f"Erase what is known about {number} for good?", yes=yes)

    async def work(client: CoveyClient) -> dict[str, Any]:
        return await (client.people.erase(number) if erase else client.people.get(number))

    body = talk(work, as_json=as_json)
    if as_json:
        put_json(body)
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
    put_table(columns, ([call.get(column) or "" for column in columns] for call in calls))
