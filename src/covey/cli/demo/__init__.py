"""demo: the whole way once, on this machine, with phones that exist nowhere else."""

from typing import Annotated

import typer


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running at the end.")] = False,
) -> None:
    """Call 24 demo phones and ask about three drawn videos; cancel a batch of each in mid-flight; show what came of it.

    Starts a server of its own on a fresh folder in ./demo-data and ends it. Your settings are not read, and no
    call leaves this machine.
    """
    from covey.cli.demo.show import run

    raise typer.Exit(run(keep=keep))
