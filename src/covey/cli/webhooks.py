"""webhooks, usage: being told what happens, and what it came to."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from covey.cli import arguments
from covey.cli.arguments import whole
from covey.cli.exits import Exit
from covey.cli.output import JsonFlag, YesFlag, clean, print_json, print_line, print_table, put_facts, say
from covey.cli.session import confirm, talk
from covey.client import CoveyClient

app = typer.Typer(help="Where the workspace is told what happens.", no_args_is_help=True)

EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Whatever is there has happened since."""

TheEndpoint = Annotated[str, typer.Argument(help="The endpoint's id.")]


@app.command("list")
def list_endpoints(as_json: JsonFlag = False) -> None:
    """List the endpoints."""

    async def work(client: CoveyClient) -> None:
        found = await client.webhooks.list()
        if as_json:
            print_json(found)
            return
        rows = ((each["id"], each["url"], each["style"], _state(each), ", ".join(each["events"])) for each in found)
        print_table(("id", "url", "style", "state", "events"), rows)

    talk(work, as_json=as_json)


def _state(endpoint: dict[str, Any]) -> str:
    if endpoint.get("disabled"):
        return f"off: {endpoint.get('disabledReason') or 'by hand'}"
    return "failing" if endpoint.get("failingSince") else "on"


@app.command("add")
def add(
    url: Annotated[str, typer.Argument(help="Where events are sent, http or https.")],
    event: Annotated[list[str] | None, typer.Option(help="Only this one; repeatable.")] = None,
    style: Annotated[str, typer.Option(help="standard, or twelvelabs for its names and signature.")] = "standard",
    description: Annotated[str, typer.Option(help="For people.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Add an endpoint. Its secret is shown now and never again."""

    async def work(client: CoveyClient) -> None:
        made = await client.webhooks.create(url, event or (), style=style, description=description)
        if as_json:
            print_json(made)
            return
        print_line(made["id"])
        say(f"Its secret, shown once: {made['secret']}", "green")

    talk(work, as_json=as_json)


@app.command("rotate")
def rotate(endpoint: TheEndpoint, as_json: JsonFlag = False) -> None:
    """Make a new secret; the old one is valid beside it for a day."""

    async def work(client: CoveyClient) -> None:
        made = await client.webhooks.rotate(endpoint)
        print_json(made) if as_json else say(f"The new secret, shown once: {made['secret']}", "green")

    talk(work, as_json=as_json)


@app.command("test")
def send_test(endpoint: TheEndpoint, as_json: JsonFlag = False) -> None:
    """Send one event now, and say what came of it. The exit code is 1 if it was not delivered."""

    async def work(client: CoveyClient) -> Exit:
        answer = await client.webhooks.test(endpoint)
        print_json(answer) if as_json else put_facts((name, value) for name, value in answer.items())
        if answer["delivered"]:
            return Exit.ok
        say(f"It was not delivered: {answer.get('error') or 'nobody says why'}", "red")
        return Exit.failed

    raise typer.Exit(talk(work, as_json=as_json))


@app.command("on")
def switch_on(endpoint: TheEndpoint, as_json: JsonFlag = False) -> None:
    """Switch an endpoint on again."""
    talk(lambda client: _switch(client, endpoint, disabled=False, as_json=as_json), as_json=as_json)


@app.command("off")
def switch_off(endpoint: TheEndpoint, as_json: JsonFlag = False) -> None:
    """Switch an endpoint off; it keeps its secret."""
    talk(lambda client: _switch(client, endpoint, disabled=True, as_json=as_json), as_json=as_json)


async def _switch(client: CoveyClient, endpoint: str, *, disabled: bool, as_json: bool) -> None:
    changed = await client.webhooks.change(endpoint, disabled=disabled)
    print_json(changed) if as_json else print_line(f"{changed['id']}: {_state(changed)}")


@app.command("delete")
def delete(endpoint: TheEndpoint, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Delete an endpoint, with what it was not told yet."""

    async def work(client: CoveyClient) -> None:
        found = await client.webhooks.get(endpoint)
        confirm(f"Delete the endpoint {clean(found['url'])}? What it was not told yet is lost.", yes=yes)
        await client.webhooks.delete(endpoint)

    talk(work, as_json=as_json)


@app.command("deliveries")
def deliveries(
    endpoint: TheEndpoint,
    state: Annotated[str | None, typer.Option(help="Only waiting, delivered (skipped too) or failed ones.")] = None,
    limit: Annotated[int, whole("How many.", most=100)] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List what was sent, newest first. What the endpoint had not asked for when its turn came is `skipped`."""

    async def work(client: CoveyClient) -> None:
        found = await client.webhooks.deliveries(endpoint, state=state, limit=limit)
        if as_json:
            print_json(found)
            return
        columns = ("id", "type", "state", "attempts", "status", "error")
        print_table(columns, ([each.get(name) or "" for name in columns] for each in found), right=("attempts",))

    talk(work, as_json=as_json)


@app.command("resend")
def resend(
    endpoint: TheEndpoint,
    delivery: Annotated[str | None, typer.Argument(help="One delivery; without it all that failed.")] = None,
    since: Annotated[
        datetime | None, typer.Option(parser=arguments.moment, metavar="TIME", help="Only what failed since.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Send again what failed. Prints how many deliveries that are."""

    async def work(client: CoveyClient) -> None:
        answer = await client.webhooks.resend(endpoint, delivery, since=since or EVER)
        if as_json:
            print_json(answer)
            return
        count = answer["count"]
        print_line(count)
        say(f"{count:,} {'delivery is' if count == 1 else 'deliveries are'} sent again.", "green" if count else "")

    talk(work, as_json=as_json)


def usage(
    since: Annotated[date | None, typer.Option(parser=arguments.day, metavar="DAY", help="First day, UTC.")] = None,
    until: Annotated[date | None, typer.Option(parser=arguments.day, metavar="DAY", help="Last day.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="Apart by day, batch or key; repeatable.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what was used: what succeeded, and nothing else."""

    async def work(client: CoveyClient) -> None:
        found = await client.usage.get(since, until, by or ("day",))
        if as_json:
            print_json(found)
            return
        lines = [*found["lines"], *({**total, "day": "in all"} for total in found["totals"])]
        columns = ("kind", "day", "batchId", "key", "items", "seconds", "tokensIn", "tokensOut", "cost")
        used = [name for name in columns if any(line.get(name) not in (None, "") for line in lines)]
        print_table(used, ([_cell(line.get(name)) for name in used] for line in lines), right=columns[4:])

    talk(work, as_json=as_json)


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f"{value:,}"
    return "" if value is None else str(value)
