"""A child process whose start is cancelled."""

import asyncio
import sys

import pytest

from covey.processes.start import start_process
from tests.patience import patience

PIPES = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}


@pytest.mark.parametrize("steps", range(8))
async def test_a_start_that_is_cancelled_ends_and_leaves_no_process(steps: int) -> None:
    """Whatever the start waits for at that moment."""
    marker = f"covey-test-{steps}"
    task = asyncio.create_task(start_process(sys.executable, "-c", "import sys; sys.stdin.read()", marker, **PIPES))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    async with patience():
        await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None
    if not task.cancelled():
        process = task.result()
        process.kill()
        await process.wait()
