"""serve and worker: the server itself, and a process that only runs batches."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from covey.cli.local import ConfigFile

if TYPE_CHECKING:
    from covey.server.assembly import Server
    from covey.settings import Settings


def serve(
    file: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="Listen here, whatever the settings say.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The same for the port.")] = None,
    data: Annotated[Path | None, typer.Option(help="The same for the data folder.", file_okay=False)] = None,
) -> None:
    """Run the server. Ctrl-C or SIGTERM lets active calls end first; a second one hangs up."""
    from covey.cli.local.firststart import announce
    from covey.cli.local.settings import load
    from covey.server.process import serve

    named = {"host": host, "port": port, "data": data}
    settings = load(file).model_copy(update={name: value for name, value in named.items() if value is not None})
    run(settings, lambda chosen: serve(chosen, announce))


def run(settings: "Settings", main: "Callable[[Settings], Coroutine[Any, Any, None]]") -> None:
    """Run a process of the server to its end; what goes wrong becomes a sentence and an exit code."""
    import asyncio
    import faulthandler
    import sys

    import uvloop

    from covey.cli.exits import Exit
    from covey.cli.session import leave
    from covey.domain.errors import Unavailable
    from covey.logging import setup_logging
    from covey.server.process import StopAbandoned
    from covey.settings import SettingsError
    from covey.store.migrate import StoreError

    chosen = "format" in settings.log.model_fields_set
    setup_logging(settings.log.level, settings.log.format if chosen or not sys.stderr.isatty() else "text")
    faulthandler.enable(2)  # Where it stood when a watchdog ended it, for the journal.
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(settings))
    except SettingsError as error:
        leave(str(error), Exit.usage)
    except StoreError as error:
        leave(str(error), Exit.conflict)
    except Unavailable as error:
        leave(error.message, Exit.unreachable)
    except StopAbandoned as error:
        leave(str(error), Exit.failed)


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
    from covey.server.process import work

    named = {"worker_port": port, "data": data}
    settings = load(file).model_copy(update={name: value for name, value in named.items() if value is not None})
    run(settings, lambda chosen: work(chosen, _announce))


def _announce(server: "Server", address: str | None) -> None:
    from covey.cli.output import say

    where = "" if address is None else f" How it is: {address}/readyz."
    say(f"Worker {server.worker.id} is at work; Ctrl-C ends it.{where}")
