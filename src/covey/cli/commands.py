"""Which commands there are, and nothing else.

The server's code is imported inside the functions of serve, demo and local, when one of them runs.
"""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from covey.cli import (
    accounts,
    agents,
    control,
    demo,
    local,
    login,
    people,
    serve,
    show,
    submit,
    videos,
    watch,
    webhooks,
    workers,
)
from covey.cli import serve as worker
from covey.cli.exits import Exit
from covey.cli.session import Command, Commands
from covey.cli.version import print_version

SERVER = "Server"
START = "Start"
WATCH = "Look"
STOP = "Stop and go on"
PEOPLE = "People"
SETUP = "Set up"

EPILOG = "Exit codes: " + ", ".join(f"{code.value} {code.name.replace('_', ' ')}" for code in Exit)

app = typer.Typer(
    name="covey",
    cls=Commands,
    help="Batches of phone calls and of video analyses: a list becomes work, and a cancel holds.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", callback=print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _add(panel: str, **commands: Callable[..., Any]) -> None:
    for name, function in commands.items():
        app.command(name.rstrip("_").replace("_", "-"), rich_help_panel=panel)(function)


_add(SERVER, serve=serve.serve, demo=demo.demo, init=local.init, config=local.config, doctor=local.doctor)
_add(SERVER, worker=worker.worker, workers=workers.workers, migrate=local.migrate)
_add(SERVER, backup=local.backup, restore=local.restore)
_add(START, submit=submit.submit, call=submit.call, validate=submit.validate, template=submit.template)
_add(START, analyze=videos.analyze)
_add(WATCH, watch=watch.watch, show=show.show, list=show.list_batches, items=show.items)
_add(WATCH, export=show.export, results=videos.results, usage=webhooks.usage)
_add(STOP, cancel=control.cancel, hang_up=control.hang_up, pause=control.pause, resume=control.resume)
_add(STOP, limit=control.limit, retry=control.retry)
_add(PEOPLE, person=people.person)
_add(SETUP, login=login.login)
app.add_typer(people.dnc, name="dnc", rich_help_panel=PEOPLE)
app.add_typer(agents.app, name="agents", rich_help_panel=SETUP)
app.add_typer(videos.app, name="assets", rich_help_panel=SETUP)
app.add_typer(webhooks.app, name="webhooks", rich_help_panel=SETUP)
app.add_typer(accounts.keys, name="keys", rich_help_panel=SETUP)
app.add_typer(accounts.workspaces, name="workspaces", rich_help_panel=SETUP)


def _check_values(group: typer.Typer) -> None:
    """Have every command of a group, and of those in it, refuse empty values."""
    for each in group.registered_commands:
        each.cls = Command
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _check_values(inner.typer_instance)


_check_values(app)
