"""Reads media in processes of their own: one child with limits for each call, killed with its caller."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from covey.analysis.media import sandbox
from covey.analysis.media.errors import BROKEN, LIMIT, Undecodable
from covey.analysis.media.facts import Facts, Frame, Inspection
from covey.processes.frames import frame, read, receive
from covey.processes.start import bare_environment, kill, start_process

if TYPE_CHECKING:
    from covey.settings import Analysis

Progress = Callable[[float, float], None]
"""Is told seconds decoded, and of how many; about twice a second."""

_CHILD = ("-P", "-m", "covey.analysis.media.child")
_PROBE = {"work": "probe", "file": None, "memory_bytes": 1024**3, "cpu_seconds": 60, "strict": False}

Heard = Callable[[dict[str, Any], bytes], None]


class Decoder:
    """Says what is in a file. Each call is one child process; two calls use two cores.

    Every method raises Undecodable: the file is broken, it takes more than the settings allow, or this machine
    cannot isolate a decoder and the settings insist on it.
    """

    def __init__(self, settings: "Analysis", *, keep_open: Sequence[int] = ()) -> None:
        """`keep_open` are descriptors that every child inherits and holds as long as it lives."""
        self._settings = settings
        self._keep_open = tuple(keep_open)
        self._running: set[Process] = set()

    async def inspect(self, file: Path) -> Inspection:
        """What the file is, without decoding it."""
        head, _ = await self._ask("inspect", file)
        return Inspection.of(head["result"])

    async def facts(self, file: Path, progress: Progress) -> Facts:
        """What one pass over the whole video finds."""

        def hear(head: dict[str, Any], _: bytes) -> None:
            progress(float(head["seconds"]), float(head["of"]))

        _, body = await self._ask("facts", file, hear)
        return Facts.load(body)

    async def frames(self, file: Path, window: tuple[float, float], count: int, side: int) -> list[Frame]:
        """`count` pictures spread evenly over the window (seconds), their longer side at most `side` pixels; fewer
        where there are fewer."""
        found: list[Frame] = []

        def hear(head: dict[str, Any], jpeg: bytes) -> None:
            found.append(Frame(float(head["frame"]), jpeg))

        await self._ask("frames", file, hear, window=window, count=count, side=side)
        return found

    async def audio(self, file: Path, window: tuple[float, float]) -> bytes | None:
        """The sound of the window as WAV (16 kHz, mono, 16 bits); None if the file has none."""
        head, body = await self._ask("audio", file, window=window)
        return body if head["result"]["audio"] else None

    async def close(self) -> None:
        """Kill what still runs; its callers get Undecodable."""
        for process in tuple(self._running):
            await kill(process)

    async def _ask(
        self, work: str, file: Path, heard: Heard | None = None, **more: Any
    ) -> tuple[dict[str, Any], bytes]:
        settings = self._settings
        limits = {"memory_bytes": settings.memory_bytes, "cpu_seconds": settings.cpu_seconds}
        asked = {"work": work, "file": str(file), "strict": settings.sandbox == "strict", **limits, **more}
        process = await start_process(
            *(sys.executable, *_CHILD, str(os.getpid())),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=bare_environment(),
            start_new_session=True,
            pass_fds=self._keep_open,
        )
        self._running.add(process)
        try:
            async with asyncio.timeout(settings.wall_seconds):
                return await _converse(process, asked, heard)
        except TimeoutError:
            raise Undecodable(LIMIT, f"Decoding it took longer than {settings.wall_seconds} s") from None
        except (EOFError, OSError, ValueError):
            raise _death(await _end_of(process), settings.cpu_seconds) from None
        finally:
            self._running.discard(process)
            await asyncio.shield(kill(process))


def isolation() -> list[tuple[str, bool, str]]:
    """What holds on this machine for decoders: (name, whether it holds, what it means). Starts one; takes 0.2 s."""
    command = [sys.executable, *_CHILD, str(os.getpid())]
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=bare_environment()
    ) as process:
        held: dict[str, bool] = {}
        if process.stdin is not None and process.stdout is not None:
            with contextlib.suppress(EOFError, OSError):
                process.stdin.write(frame(_PROBE))
                process.stdin.flush()
                held = read(cast(BinaryIO, process.stdout))[0]["held"]
        process.kill()
    return [(name, held.get(name, False), sandbox.MEANING[name]) for name in sandbox.ESSENTIAL]


async def _converse(process: Process, question: dict[str, Any], heard: Heard | None) -> tuple[dict[str, Any], bytes]:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(frame(question))
    await process.stdin.drain()
    while True:
        head, body = await receive(process.stdout)
        if "error" in head:
            raise Undecodable(str(head["error"]), str(head["message"]))
        if "result" in head:
            return head, body
        if heard is not None:
            heard(head, body)


async def _end_of(process: Process) -> int:
    """How a child ended that said no more. It is killed if it only went silent."""
    try:
        return await asyncio.wait_for(process.wait(), 1.0)
    except TimeoutError:
        await kill(process)
        return 0


def _death(code: int, cpu_seconds: int) -> Undecodable:
    if code == -signal.SIGXCPU:
        return Undecodable(LIMIT, f"Decoding it took more than {cpu_seconds} s of CPU")
    if code == -signal.SIGKILL:
        return Undecodable(LIMIT, "Its decoder was killed, most likely for want of memory")
    if code < 0:
        return Undecodable(BROKEN, f"Its decoder crashed ({signal.Signals(-code).name})")
    return Undecodable(BROKEN, "Its decoder ended without an answer")
