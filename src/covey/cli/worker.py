"""worker: a process that runs batches and answers nobody, beside others on one PostgreSQL."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from covey.cli.local import ConfigFile

if TYPE_CHECKING:
    from covey.assembly import Server


def worker(
    file: ConfigFile = None,
    data: Annotated[
        Path | None, typer.Option(help="The data folder, whatever the settings say.", file_okay=False)
    ] = None,
) -> None:
    """Run batches without an API, beside other processes on one PostgreSQL. Ends as `serve` does."""
    from covey.cli.local.settings import load
    from covey.cli.serve import run
    from covey.server import work

    settings = load(file)
    run(
        settings if data is None else settings.model_copy(update={"data": data}), lambda chosen: work(chosen, _announce)
    )


def _announce(server: "Server") -> None:
    from covey.cli.output import say

    say(f"Worker {server.worker.id} is at work; Ctrl-C ends it.")
