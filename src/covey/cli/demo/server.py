"""The process of the demo's server: `covey serve` with the demo's settings, ended with the demo if it is to be."""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal this process gets when its parent dies."""


def main(settings: str, *options: str) -> None:
    """Serve with the settings of a file; `--with-parent` ends the server with the process that started it."""
    if "--with-parent" in options and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    from covey.cli.commands import app

    app(["serve", "--config", settings])


if __name__ == "__main__":
    main(*sys.argv[1:])
