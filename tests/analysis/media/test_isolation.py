"""A decoder may not do what a file might make it do, and dies with whoever asked."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import covey
from covey.analysis.media import Decoder, Undecodable, isolation
from covey.analysis.media.drawing import DrawnScene, draw
from covey.settings import Analysis

ATTEMPTS = """
import os, socket, sys
from pathlib import Path
from covey.analysis.media import rights
own = open(sys.argv[1], "rb")
assert rights.limit(1 << 30, 60)
held = rights.confine(rights.libraries())
assert all(held.values()), held
def refused(attempt):
    try:
        attempt()
    except OSError:
        return True
    return False
print(own.read(3).decode())
print(refused(lambda: Path(sys.argv[1]).read_bytes()))
print(refused(lambda: list(Path("/").iterdir())))
print(refused(lambda: Path(sys.argv[1]).with_name("new").write_text("x")))
print(refused(lambda: socket.socket()))
print(refused(lambda: socket.socketpair()))
print(refused(os.fork))
print(refused(lambda: os.execv("/bin/true", ["true"])))
print(refused(lambda: os.kill(os.getppid(), 0)))
import threading
thread = threading.Thread(target=print, args=("thread",))
thread.start(); thread.join()
"""

ASKS_FOREVER = """
import asyncio, sys
from pathlib import Path
from covey.analysis.media import Decoder
from covey.settings import Analysis
async def main():
    decoder = Decoder(Analysis())
    asking = asyncio.create_task(decoder.facts(Path(sys.argv[1]), lambda *told: None))
    while not decoder._running:
        await asyncio.sleep(0)
    print(next(iter(decoder._running)).pid, flush=True)
    await asking
asyncio.run(main())
"""

# The kernel of this process has no Landlock: a filter says so (linux/seccomp.h), which every child inherits.
WITHOUT_LANDLOCK = """
import asyncio, ctypes, errno, struct, sys
from pathlib import Path
from covey.analysis.media import Decoder, Undecodable, isolation
from covey.settings import Analysis
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050000 | errno.ENOSYS), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("@HP", len(steps), ctypes.addressof(code)), 0, 0) == 0
async def inspected(sandbox):
    try:
        return (await Decoder(Analysis(sandbox=sandbox)).inspect(Path(sys.argv[1]))).kind
    except Undecodable as error:
        return f"{error.code}: {error.message}"
for sandbox in ("strict", "weak"):
    print(asyncio.run(inspected(sandbox)))
print([name for name, held, _ in isolation() if not held])
"""


@pytest.fixture(scope="session")
def long(clips: Path) -> Path:
    """Takes many seconds to watch."""
    file = clips / "slow.mp4"
    cards = [DrawnScene(1, colour, (("Slow", 40), ("clip", 40))) for colour in ("navy", "white", "green") * 4]
    draw(file, cards, (1280, 720), fps=5)
    return file


def test_this_machine_isolates_decoders() -> None:
    report = isolation()
    assert [name for name, _, _ in report] == ["limits", "files", "network", "processes"]
    assert all(held for _, held, _ in report)
    assert all(meaning for _, _, meaning in report)


def test_a_confined_process_reads_its_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("own words")
    command = [sys.executable, "-c", ATTEMPTS, str(tmp_path / "own")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == ["own", *["True"] * 8, "thread"]


def test_strict_refuses_where_a_pillar_is_missing_and_weak_goes_on(short: tuple[Path, object]) -> None:
    command = [sys.executable, "-c", WITHOUT_LANDLOCK, str(short[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    strict, weak, missing = done.stdout.splitlines()
    assert strict.startswith("decoder_not_isolated: This machine does not isolate decoders (files)")
    assert (weak, missing) == ("video", "['files']")


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/usr/bin/python3").exists(), reason="takes root to be nobody")
def test_an_ordinary_user_is_confined_as_well() -> None:
    """With the system's Python, which anybody can read, and a copy of what it takes of Covey."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = Path(covey.__file__).parent
        shutil.copytree(source / "analysis", folder / "libraries" / "covey" / "analysis")
        (folder / "libraries" / "covey" / "__init__.py").touch()
        (folder / "assets").mkdir()
        (folder / "assets" / "own").write_text("own words")
        folder.chmod(0o755)
        command = ["/usr/bin/python3", "-c", ATTEMPTS, str(folder / "assets" / "own")]
        environment = {"PYTHONPATH": str(folder / "libraries"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, user=65534, cwd=name, env=environment
        )
    assert done.stderr == ""
    assert done.stdout.split() == ["own", *["True"] * 8, "thread"]


async def test_a_decoder_dies_with_the_call_that_is_cancelled(decoder: Decoder, long: Path) -> None:
    told = asyncio.Event()
    asking = asyncio.create_task(decoder.facts(long, lambda *_: told.set()))
    await told.wait()
    (process,) = decoder._running
    asking.cancel()
    async with asyncio.timeout(2):
        await asyncio.gather(asking, return_exceptions=True)
    assert process.returncode == -signal.SIGKILL
    assert decoder._running == set()


async def test_a_decoder_dies_with_its_parent(long: Path) -> None:
    command = [sys.executable, "-c", ASKS_FOREVER, str(long)]
    parent = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    watched = os.pidfd_open(child)
    parent.kill()
    await parent.wait()
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(watched, gone.set)
    try:
        await asyncio.wait_for(gone.wait(), 2)
    finally:
        asyncio.get_running_loop().remove_reader(watched)
        os.close(watched)


async def test_closing_ends_what_runs(decoder: Decoder, long: Path) -> None:
    told = asyncio.Event()
    asking = asyncio.create_task(decoder.facts(long, lambda *_: told.set()))
    await told.wait()
    await decoder.close()
    with pytest.raises(Undecodable):
        await asking


async def test_too_little_memory_is_a_limit_that_is_named(long: Path) -> None:
    decoder = Decoder(Analysis(memory_bytes=250 * 1024**2))
    with pytest.raises(Undecodable) as caught:
        await decoder.facts(long, lambda *_: None)
    assert caught.value.code in ("decoder_limit", "video_file_broken")


async def test_too_much_cpu_is_a_limit_that_is_named(long: Path) -> None:
    decoder = Decoder(Analysis(cpu_seconds=1))
    with pytest.raises(Undecodable, match="1 s of CPU") as caught:
        await decoder.facts(long, lambda *_: None)
    assert caught.value.code == "decoder_limit"


async def test_too_long_is_a_limit_that_is_named(long: Path) -> None:
    decoder = Decoder(Analysis(wall_seconds=1))
    with pytest.raises(Undecodable, match="longer than 1 s") as caught:
        await decoder.facts(long, lambda *_: None)
    assert caught.value.code == "decoder_limit"


async def test_two_calls_run_side_by_side(decoder: Decoder, short: tuple[Path, object]) -> None:
    both = [asyncio.create_task(decoder.facts(short[0], lambda *_: None)) for _ in range(2)]
    while len(decoder._running) < 2:
        assert not any(task.done() for task in both)
        await asyncio.sleep(0)
    one, two = await asyncio.gather(*both)
    assert one == two
