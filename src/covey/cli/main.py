"""The command `covey`. --version is answered before anything else is imported."""

import sys

from covey.cli.version import print_version


def run() -> None:
    """What the installed command calls."""
    if sys.argv[1:] == ["--version"]:
        print_version(True)
    from covey.cli.commands import app

    app()
