"""--version, which must be quick: it is answered before anything else is imported."""

import sys


def print_version(wanted: bool) -> None:
    """Write the version and leave, if it is `wanted`."""
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"covey {version('covey')}\n")
        sys.exit(0)
