"""Child processes that answer questions: work that would hold the event loop, crash the server, or carry another
licence lives in `python -m <module>`, and is asked by frames over its stdin and stdout.

    parent:  child = ChildProcess("covey.calls.speech.espeak");  header, body = await child.ask({"text": "Hello"})
    child:   if __name__ == "__main__": serve(answer)

What is asked never appears in the arguments or the environment of the child.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from covey.processes.frames import Frame, frame, read, receive
from covey.processes.parent import die_with_parent
from covey.processes.start import bare_environment, kill, start_process

_CLOSE_SECONDS = 2.0

Answer = Frame


class ChildFailed(Exception):
    """The child process died, or did not answer in time. A new one starts with the next question."""


class ChildRefused(Exception):
    """The child process answered that it can't do this."""


class ChildProcess:
    """One child process, started when first asked, started again when it died. Asked one thing at a time.

    It has a session of its own (a Ctrl-C in the terminal does not reach it) and dies with its parent.
    """

    def __init__(self, module: str, seconds: float = 30.0) -> None:
        """`module` is run by `python -m`; `seconds` is how long an answer may take unless the question says else."""
        self._module = module
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The process id of the running child."""
        return self._process.pid if self._process else None

    async def ask(self, header: Mapping[str, Any], body: bytes = b"", seconds: float | None = None) -> Answer:
        """Asks and waits for the answer, (header, body).

        A child that died is replaced once and asked again, so what is asked must be repeatable. Raises `ChildRefused`
        with the child's own words, `ChildFailed` if it dies or takes longer than the limit (it is then killed).
        """
        async with self._turn:
            try:
                answer = await self._ask_once(header, body, seconds or self._seconds)
            except EOFError:
                answer = await self._ask_last(header, body, seconds or self._seconds)
        if "error" in answer[0]:
            raise ChildRefused(str(answer[0]["error"]))
        return answer

    async def close(self) -> None:
        """Ends the child: it gets the end of its input, two seconds later it is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _CLOSE_SECONDS)
        except TimeoutError:
            await kill(process)

    async def _ask_last(self, header: Mapping[str, Any], body: bytes, seconds: float) -> Answer:
        try:
            return await self._ask_once(header, body, seconds)
        except EOFError as error:
            raise ChildFailed(f"{self._module} died twice over one question") from error

    async def _ask_once(self, header: Mapping[str, Any], body: bytes, seconds: float) -> Answer:
        """Raises EOFError if the child died."""
        process = await self._running()
        try:
            return await asyncio.wait_for(_converse(process, header, body), seconds)
        except TimeoutError:
            await self._drop(process)
            raise ChildFailed(f"{self._module} did not answer within {seconds:g} s") from None
        except (EOFError, OSError) as error:
            await self._drop(process)
            raise EOFError from error
        except asyncio.CancelledError:
            await asyncio.shield(self._drop(process))
            raise

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._process = await start_process(
            sys.executable,
            "-P",
            "-m",
            self._module,
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=bare_environment(),
            start_new_session=True,
        )
        self.starts += 1
        return self._process

    async def _drop(self, process: asyncio.subprocess.Process) -> None:
        if self._process is process:
            self._process = None
        await kill(process)


def serve(answer: Callable[[dict[str, Any], bytes], Answer]) -> None:
    """The child's main loop: answers until its input ends.

    An exception in `answer` is told to the parent by its name only, because its text may hold what was asked; a
    `ChildRefused` by its text. What libraries print to stdout goes to stderr.
    """
    die_with_parent(int(sys.argv[1]))
    questions = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            question = read(questions)
        except EOFError:
            return
        try:
            header, body = answer(*question)
        except ChildRefused as error:
            header, body = {"error": str(error)}, b""
        except Exception as error:
            header, body = {"error": f"{type(error).__name__} in the child process"}, b""
        answers.write(frame(header, body))
        answers.flush()


async def _converse(process: asyncio.subprocess.Process, header: Mapping[str, Any], body: bytes) -> Answer:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(frame(header, body))
    await process.stdin.drain()
    return await receive(process.stdout)
