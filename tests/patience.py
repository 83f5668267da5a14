"""How long tests wait for what must come: only one that fails waits so long, however busy the machine is.

How fast something is belongs to the benchmarks. A test that must see that something does not wait compares with what
would be waited for.
"""

import asyncio

PATIENCE = 90.0
"""Seconds."""


def patience() -> asyncio.Timeout:
    """A limit for a wait, to be entered with `async with`."""
    return asyncio.timeout(PATIENCE)
