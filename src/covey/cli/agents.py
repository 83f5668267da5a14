"""agents: who calls, and what they say."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from covey.cli import arguments
from covey.cli.exits import Exit
from covey.cli.output import JsonFlag, YesFlag, clean, print_json, print_line, print_table, say, when
from covey.cli.session import confirm, leave, talk
from covey.client import CoveyClient
from covey.client.models import Agent

app = typer.Typer(help="Who calls, and what they say.", no_args_is_help=True)

TheAgent = Annotated[str, typer.Argument(help="The agent's id or name.")]
Name = Annotated[str | None, typer.Option(help="A name for people.")]
Greeting = Annotated[str | None, typer.Option(help="What is said first; {column} is filled from the list.")]
Question = Annotated[list[str] | None, typer.Option(help="A yes-or-no question; repeatable.")]
Goodbye = Annotated[str | None, typer.Option(help="What is said last.")]
Voicemail = Annotated[str | None, typer.Option(help="hang_up, leave_message or talk_anyway.")]
Message = Annotated[str | None, typer.Option(help="What a mailbox hears.")]


@app.command("list")
def list_agents(as_json: JsonFlag = False) -> None:
    """List the agents."""

    async def work(client: CoveyClient) -> None:
        found = await client.agents.list()
        if as_json:
            print_json([agent.raw for agent in found])
            return
        rows = ((agent.id, agent.name, agent.greeting, when(agent.updated_at)) for agent in found)
        print_table(("id", "name", "greeting", "changed"), rows)

    talk(work, as_json=as_json)


@app.command()
def show(agent: TheAgent, as_json: JsonFlag = False) -> None:
    """Show everything an agent has, as JSON."""

    async def work(client: CoveyClient) -> None:
        print_json((await client.agents.get(await arguments.agent_id(client, agent))).raw)

    talk(work, as_json=as_json)


@app.command()
def create(
    file: Annotated[Path | None, typer.Argument(help="JSON with the agent.", exists=True, dir_okay=False)] = None,
    name: Name = None,
    greeting: Greeting = None,
    question: Question = None,
    goodbye: Goodbye = None,
    voicemail: Voicemail = None,
    voicemail_message: Message = None,
    as_json: JsonFlag = False,
) -> None:
    """Create an agent, from a file of JSON, from options, or from both."""
    body = _body(file, name, greeting, question, goodbye, voicemail, voicemail_message)
    if not body:
        leave("Say what the agent says: a file, or --name and --greeting; examples/reminder.json is one.", Exit.usage)

    async def work(client: CoveyClient) -> None:
        _tell(await client.agents.create(body), as_json=as_json)

    talk(work, as_json=as_json)


@app.command()
def update(
    agent: TheAgent,
    file: Annotated[Path | None, typer.Argument(help="JSON with the agent.", exists=True, dir_okay=False)] = None,
    name: Name = None,
    greeting: Greeting = None,
    question: Question = None,
    goodbye: Goodbye = None,
    voicemail: Voicemail = None,
    voicemail_message: Message = None,
    as_json: JsonFlag = False,
) -> None:
    """Change an agent. Batches that were accepted keep it as it was."""
    body = _body(file, name, greeting, question, goodbye, voicemail, voicemail_message)
    if not body:
        leave("Say what to change: a file, or options such as --greeting.", Exit.usage)

    async def work(client: CoveyClient) -> None:
        _tell(await client.agents.update(await arguments.agent_id(client, agent), body), as_json=as_json)

    talk(work, as_json=as_json)


@app.command()
def delete(agent: TheAgent, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Delete an agent. Batches that were accepted keep it."""
    confirm(f"Delete the agent {agent}?", yes=yes)

    async def work(client: CoveyClient) -> str:
        found = await arguments.agent_id(client, agent)
        await client.agents.delete(found)
        return found

    deleted = talk(work, as_json=as_json)
    if as_json:
        print_json({"deleted": deleted})
    say("Deleted.")


def _body(
    file: Path | None,
    name: str | None,
    greeting: str | None,
    questions: list[str] | None,
    goodbye: str | None,
    voicemail: str | None,
    voicemail_message: str | None,
) -> dict[str, Any]:
    options = {
        "name": name,
        "greeting": greeting,
        "goodbye": goodbye,
        "voicemail": voicemail,
        "voicemailMessage": voicemail_message,
        "questions": [
            {"name": f"question_{number}", "ask": text} for number, text in enumerate(questions or (), start=1)
        ]
        or None,
    }
    return _read(file) | {field: value for field, value in options.items() if value is not None}


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        body = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        leave(f"{file} is not JSON: {error}", Exit.usage)
    if not isinstance(body, dict):
        leave(f"{file} should hold one object, the agent.", Exit.usage)
    return body


def _tell(agent: Agent, *, as_json: bool) -> None:
    if as_json:
        print_json(agent.raw)
    else:
        print_line(agent.id)
    for warning in agent.warnings:
        say(clean(warning), "yellow")
