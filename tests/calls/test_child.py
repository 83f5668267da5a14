"""Child processes that answer questions: what happens when they refuse, hang, crash or lose their parent."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from covey.processes.child import ChildFailed, ChildProcess, ChildRefused

MODULE = """
import os, sys, time
from covey.processes.child import ChildRefused, serve

def answer(header, body):
    match header["do"]:
        case "echo":
            print("this goes to stderr, not among the frames")
            return {"pid": os.getpid(), "session": os.getsid(0)}, body[::-1]
        case "arguments":
            return {"argv": sys.argv[1:], "environment": sorted(os.environ)}, b""
        case "refuse":
            raise ChildRefused("not this one")
        case "fail":
            raise ValueError("a secret")
        case "hang":
            time.sleep(600)
        case "crash":
            os._exit(3)

if __name__ == "__main__":
    serve(answer)
"""

PARENT = """
import asyncio
from covey.processes.child import ChildProcess

async def main():
    header, _ = await ChildProcess("answers").ask({"do": "echo"})
    print(header["pid"], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "answers.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "answers"


@pytest_asyncio.fixture
async def child(module: str) -> AsyncIterator[ChildProcess]:
    made = ChildProcess(module, 10)
    yield made
    await made.close()


async def test_it_answers_frames_of_any_size(child: ChildProcess) -> None:
    body = os.urandom(3_000_000)
    header, answer = await child.ask({"do": "echo"}, body)
    assert answer == body[::-1]
    assert header["pid"] == child.pid
    assert (await child.ask({"do": "echo"}))[1] == b""
    assert child.starts == 1


async def test_questions_asked_at_once_get_their_own_answers(child: ChildProcess) -> None:
    answers = await asyncio.gather(*(child.ask({"do": "echo"}, bytes([number])) for number in range(50)))
    assert [body for _, body in answers] == [bytes([number]) for number in range(50)]


async def test_it_has_a_session_of_its_own_and_is_told_no_secrets(
    child: ChildProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVEY_SPEECH_KEY", "secret")
    header, _ = await child.ask({"do": "arguments"})
    assert header["argv"] == [str(os.getpid())]
    assert not [name for name in header["environment"] if name.startswith("COVEY_")]
    assert (await child.ask({"do": "echo"}))[0]["session"] == child.pid != os.getsid(0)


async def test_a_refusal_has_the_childs_words_and_an_error_only_its_name(child: ChildProcess) -> None:
    with pytest.raises(ChildRefused, match="not this one"):
        await child.ask({"do": "refuse"})
    with pytest.raises(ChildRefused, match=r"^ValueError in the child process$"):
        await child.ask({"do": "fail"})
    assert child.starts == 1


async def test_a_child_that_was_killed_is_replaced_unseen(child: ChildProcess) -> None:
    first = (await child.ask({"do": "echo"}))[0]["pid"]
    os.kill(first, signal.SIGKILL)
    assert (await child.ask({"do": "echo"}))[0]["pid"] != first


async def test_a_question_that_crashes_it_fails_and_the_next_one_is_answered(child: ChildProcess) -> None:
    with pytest.raises(ChildFailed, match="died twice"):
        await child.ask({"do": "crash"})
    assert (await child.ask({"do": "echo"}, b"ab"))[1] == b"ba"


async def test_an_answer_that_takes_too_long_fails_and_the_child_is_killed(child: ChildProcess) -> None:
    pid = (await child.ask({"do": "echo"}))[0]["pid"]
    with pytest.raises(ChildFailed, match=r"within 0.2 s"):
        await child.ask({"do": "hang"}, seconds=0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (await child.ask({"do": "echo"}, b"ab"))[1] == b"ba"


async def test_a_question_given_up_leaves_no_answer_to_the_next(child: ChildProcess) -> None:
    await child.ask({"do": "echo"})
    waiting = asyncio.create_task(child.ask({"do": "hang"}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await child.ask({"do": "echo"}, b"ab"))[1] == b"ba"


async def test_closing_leaves_nothing_running(module: str) -> None:
    child = ChildProcess(module)
    pid = (await child.ask({"do": "echo"}))[0]["pid"]
    await child.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_it_dies_with_a_parent_that_is_killed(module: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        handle = os.pidfd_open(pid)
        parent.kill()
        parent.wait()
        readable, _, _ = select.select([handle], [], [], 5)
        os.close(handle)
    assert readable
