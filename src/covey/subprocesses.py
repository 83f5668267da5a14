"""Starting child processes from the event loop."""

import asyncio
from typing import Any


async def start_process(*command: str, **options: Any) -> asyncio.subprocess.Process:
    """Like `asyncio.create_subprocess_exec`, for tasks that may be cancelled: the child is killed then, and waited for.

    asyncio's own start must not be cancelled: it kills the child and waits for its end, which was seen to last for ever
    (Python 3.11, `base_subprocess._wait`), and with it whoever waits for the task.
    """
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, **options))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        process.kill()
        await process.wait()
        raise
