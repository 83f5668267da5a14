"""The process that decodes one file once: `python -m covey.analysis.media.child`.

It is asked on stdin, gives up its rights, opens nothing after that, and answers on stdout. Whatever a file does to
libav, libjpeg or the models happens here.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, BinaryIO

from covey.analysis.media import sandbox
from covey.analysis.media.errors import BROKEN, LIMIT, NOT_INSTALLED, UNSAFE, Undecodable
from covey.processes import parent
from covey.processes.frames import frame, read

_TELL_SECONDS = 0.5

Say = Callable[..., None]


def main() -> None:
    """Answer one question."""
    parent.die_with_parent(int(sys.argv[1]))
    questions, answers = os.fdopen(0, "rb", buffering=0), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def say(body: bytes = b"", **head: Any) -> None:
        answers.write(frame(head, body))
        answers.flush()

    try:
        _answer(questions, say)
    except Undecodable as error:
        say(error=error.code, message=error.message)
    except MemoryError:
        say(error=LIMIT, message="Decoding it takes more memory than a decoder gets")
    except ModuleNotFoundError as error:
        say(error=NOT_INSTALLED, message=f"{error.name} is not installed: pip install 'covey[analysis]'")
    except Exception as error:
        say(error=BROKEN, message=f"It cannot be decoded: {type(error).__name__}")


def _answer(questions: BinaryIO, say: Say) -> None:
    asked, _ = read(questions)
    opened = os.open(asked["file"], os.O_RDONLY | os.O_CLOEXEC) if asked["file"] else None
    held = {sandbox.LIMITS: sandbox.limit(asked["memory_bytes"], asked["cpu_seconds"])}
    held |= sandbox.confine(sandbox.libraries())
    threading.Thread(target=_end_with, args=(questions,), daemon=True).start()
    if opened is None:
        say(held=held)
        return
    missing = [name for name in sandbox.ESSENTIAL if not held[name]]
    if missing and asked["strict"]:
        lacks = ", ".join(missing)
        raise Undecodable(
            UNSAFE,
            f"This machine does not isolate decoders ({lacks}), and analysis.sandbox is strict; "
            'analysis.sandbox = "weak" goes on without',
        )
    with os.fdopen(opened, "rb") as file:
        _WORK[asked["work"]](file, asked, say)


def _end_with(questions: BinaryIO) -> None:
    """The parent keeps our stdin open as long as it wants us."""
    with contextlib.suppress(OSError):
        questions.read(1)
    os._exit(1)


def _inspect(file: BinaryIO, question: dict[str, Any], say: Say) -> None:
    from covey.analysis.media.inspecting import inspect

    say(result=asdict(inspect(file)))


def _facts(file: BinaryIO, question: dict[str, Any], say: Say) -> None:
    from covey.analysis.media.watching import watch

    told = time.monotonic()

    def tell(seconds: float, of: float) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_SECONDS:
            told = time.monotonic()
            say(seconds=seconds, of=of)

    say(watch(file, tell).dump(), result={})


def _frames(file: BinaryIO, question: dict[str, Any], say: Say) -> None:
    from covey.analysis.media.sampling import frames

    start, end = question["window"]
    for picture in frames(file, (start, end), question["count"], question["side"]):
        say(picture.jpeg, frame=picture.seconds)
    say(result={})


def _audio(file: BinaryIO, question: dict[str, Any], say: Say) -> None:
    from covey.analysis.media.sampling import audio

    start, end = question["window"]
    sound = audio(file, (start, end))
    say(sound or b"", result={"audio": sound is not None})


_WORK: dict[str, Callable[[BinaryIO, dict[str, Any], Say], None]] = {
    "inspect": _inspect,
    "facts": _facts,
    "frames": _frames,
    "audio": _audio,
}

if __name__ == "__main__":
    main()
