"""worker: a process that runs batches and answers nobody, beside others on one PostgreSQL."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from covey.cli.local import ConfigFile

if TYPE_CHECKING:
    from covey.assembly import Server


def worker(
    file: ConfigFile = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Answer /livez, /readyz and /metrics here, whatever the settings say."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The data folder, whatever the settings say.", file_okay=False)
    ] = None,
) -> None:
    """Run batches without an API, beside other processes on one PostgreSQL. Ends as `serve` does."""
    from covey.cli.local.settings import load
    from covey.cli.serve import run
    from covey.server import work

    named = {"worker_port": port, "data": data}
    settings = load(file).model_copy(update={name: value for name, value in named.items() if value is not None})
    run(settings, lambda chosen: work(chosen, _announce))


def _announce(server: "Server", address: str | None) -> None:
    from covey.cli.output import say

    where = "" if address is None else f" How it is: {address}/readyz."
    say(f"Worker {server.worker.id} is at work; Ctrl-C ends it.{where}")
