"""The process that checks lists: phonenumbers is slow and holds the interpreter, so the server never runs it.

Asked {path, options, rows, bad, progress}; answers {report, sha256}, or {refused} for what concerns the whole file.
"""

import os
from pathlib import Path
from typing import Any

from covey.calls.child import Answer, serve
from covey.calls.intake.checker import check_file
from covey.calls.intake.options import IntakeOptions
from covey.calls.intake.report import Files
from covey.domain.errors import BadRequest

NICE = 10
"""Behind the server and its calls when the processors are busy."""


def answer(header: dict[str, Any], body: bytes) -> Answer:
    """Checks one list."""
    files = Files(Path(header["rows"]), Path(header["bad"]))
    gauge = os.open(header["progress"], os.O_WRONLY | os.O_CREAT, 0o600)

    def progress(done: int) -> None:
        os.pwrite(gauge, done.to_bytes(8), 0)

    try:
        options = IntakeOptions.load(header["options"])
        report, sha256 = check_file(Path(header["path"]), options, files, progress)
    except BadRequest as error:
        return {"refused": {"code": error.code, "message": error.message, "details": error.details}}, b""
    finally:
        os.close(gauge)
    return {"report": report.dump(), "sha256": sha256}, b""


if __name__ == "__main__":
    os.nice(NICE)
    serve(answer)
