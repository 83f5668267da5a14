"""Starting and ending child processes from the event loop."""

import asyncio
import contextlib
import os
from asyncio.subprocess import Process
from typing import Any

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "HOME")


async def start_process(*command: str, **options: Any) -> Process:
    """Like `asyncio.create_subprocess_exec`, for tasks that may be cancelled: the child is killed then, and waited for.

    asyncio's own start must not be cancelled: it kills the child and waits for its end, which was seen to last for ever
    (Python 3.11, `base_subprocess._wait`), and with it whoever waits for the task.
    """
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, **options))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await kill(await starting)
        raise


async def kill(process: Process) -> None:
    """Kill a process, if it is still there, and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()


def bare_environment() -> dict[str, str]:
    """The environment of a child that works for us: no setting and no secret of ours, and one thread for sums."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed_on | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
