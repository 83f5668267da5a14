"""The process of the demo's server: `covey serve` with the demo's settings, ended with the demo if it is to be."""

import os
import signal
import sys

from covey.processes.parent import die_with_parent


def main(settings: str, *options: str) -> None:
    """Serve with the settings of a file; `--with-parent` ends the server with the process that started it."""
    if "--with-parent" in options:
        die_with_parent(os.getppid(), signal.SIGTERM)
    from covey.cli.commands import app

    app(["serve", "--config", settings])


if __name__ == "__main__":
    main(*sys.argv[1:])
