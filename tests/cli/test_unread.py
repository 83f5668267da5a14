"""What reads the output of a command may go away before its end, as `head` does."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest

from covey.cli.exits import Exit
from tests.api.twelvelabs import clips
from tests.patience import PATIENCE

from .conftest import Command, clean_environment

SMALL_PIPE = 4096
ITEMS = 60


@pytest.fixture(scope="module")
def videos(covey: Command, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A batch of videos whose answers are more than a small pipe takes, ended."""
    clip = tmp_path_factory.mktemp("clips") / "clip.mp4"
    clips.video(clip, seconds=1.0)
    asset = covey("assets", "add", str(clip)).stdout.strip()
    batch = str(covey("analyze", *[asset] * ITEMS, "--prompt", "How long is it?").stdout.strip())
    assert covey("watch", batch).exit_code == Exit.ok
    return batch


@pytest.fixture(scope="module")
def calls(covey: Command, agent: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A batch of calls whose list is more than a small pipe takes; it waits until it is cancelled."""
    rows = "".join(f"+1202555{number:04d},Ada {number}\n" for number in range(100, 200))
    file = tmp_path_factory.mktemp("lists") / "list.csv"
    file.write_text(f"phone_number,first_name\n{rows}")
    batch = str(covey.json("submit", str(file), "--agent", agent, "--at", "+2h")["batchId"])
    try:
        yield batch
    finally:
        assert covey("cancel", batch, "--yes").exit_code == Exit.ok


def left(covey: Command, *args: str, after: int, with_words: bool = False) -> tuple[int, bytes]:
    """The exit code and stderr of a command whose reader goes away after so many bytes; `with_words`: both go there."""
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
    if not after:
        os.close(ours)
    command = [sys.executable, "-m", "covey.cli", *args]
    environment = clean_environment(**covey.environment)
    environment.pop("PYTHONUNBUFFERED", None)  # Without a buffer Python takes half a write for a whole one.
    words = theirs if with_words else subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=theirs, stderr=words, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        if after:
            assert os.read(ours, after)
            os.close(ours)
        _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said or b""


def test_answers_end_without_a_word(covey: Command, videos: str) -> None:
    for command in (("results", videos), ("results", videos, "--json")):
        assert left(covey, *command, after=10) == (Exit.unread, b""), command


def test_lists_and_files_end_without_a_word(covey: Command, calls: str) -> None:
    for command in (("items", calls, "--all"), ("export", calls)):
        assert left(covey, *command, after=10) == (Exit.unread, b""), command


@pytest.mark.parametrize("command", [("list", "--json"), ("watch", "--json"), ("config",)])
def test_nobody_reads_at_all(covey: Command, calls: str, command: Sequence[str]) -> None:
    assert left(covey, *command, after=0) == (Exit.unread, b"")


def test_nobody_reads_the_words_either(covey: Command) -> None:
    assert left(covey, "show", "nonsense", after=0, with_words=True)[0] == Exit.unread
