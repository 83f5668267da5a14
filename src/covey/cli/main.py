"""The command `covey`. --version is answered before anything else is imported."""

import signal
import sys

from covey import private
from covey.cli.version import print_version


def run() -> None:
    """What the installed command calls."""
    if sys.argv[1:] == ["--version"]:
        print_version(True)
    private.begin()
    on_interrupt = signal.getsignal(signal.SIGINT)
    if on_interrupt is signal.default_int_handler:
        # Ctrl-C while modules load would come out of the middle of one, as a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from covey.cli.commands import app

    signal.signal(signal.SIGINT, on_interrupt)
    app(prog_name="covey")
