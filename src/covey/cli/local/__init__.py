"""init, config, migrate, backup, restore, doctor: what is done on the server's own machine, beside the server.

Nothing of the server is imported before one of these runs.
"""

from pathlib import Path
from typing import Annotated

import typer

from covey.cli.exits import Exit
from covey.cli.output import JsonFlag, YesFlag

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings; ./covey.toml if there is one.", dir_okay=False)
]


def init(
    file: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("covey.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a commented covey.toml. COVEY_… in the environment stands above it."""
    from covey.cli.local import settings

    settings.write(file, force=force, as_json=as_json)


def config(file: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """Show every setting that holds and where it comes from, secrets masked."""
    from covey.cli.local import settings

    settings.show(file, as_json=as_json)


def migrate(
    file: ConfigFile = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 if something is to be done.")
    ] = False,
    post: Annotated[
        bool, typer.Option("--post", help="Also what an older Covey could not work with; when none runs any more.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Bring the database's schema up to date, and say how. A server does so when it starts, but for --post."""
    from covey.cli.local import migrations

    raise typer.Exit(migrations.migrate(file, check=check, post=post, as_json=as_json))


def backup(
    target: Annotated[Path, typer.Argument(help="A new file, or a folder to put one in.")],
    file: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Copy the database to a file, also while the server runs. Recordings are files of their own; copy them too."""
    from covey.cli.local import copies

    copies.backup(target, file, as_json=as_json)


def restore(
    source: Annotated[Path, typer.Argument(help="A file that `covey backup` wrote.", exists=True, dir_okay=False)],
    file: ConfigFile = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Put a backup in the place of the database. Only while no server runs.

    Batches of calls that had not ended in the backup come back paused: nobody knows whom they called since.
    """
    from covey.cli.local import copies

    copies.restore(source, file, yes=yes, as_json=as_json)


def doctor(file: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """Check what a server needs on this machine, and say what would make it right."""
    from covey.cli.local import checks

    raise typer.Exit(Exit.ok if checks.examine(file, as_json=as_json) else Exit.failed)
