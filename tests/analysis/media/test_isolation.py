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
from tests.patience import PATIENCE, patience

ATTEMPTS = """
import os, socket, sys
from pathlib import Path
from covey.analysis.media import sandbox
own = open(sys.argv[1], "rb")
assert sandbox.limit(1 << 30, 60)
held = sandbox.confine(sandbox.libraries())
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

# Each tries something on its parent that does no harm: signal 0, limits that are read, values that it has already.
REACHES = """
import ctypes, errno, fcntl, os, resource, signal, sys
from covey.analysis.media import filtering, sandbox
other, libc = os.getppid(), ctypes.CDLL(None, use_errno=True)
one, _ = os.pipe()
mask = os.sched_getaffinity(other)
nice = os.getpriority(os.PRIO_PROCESS, other)
signalled = ctypes.create_string_buffer(b"\\0" * 8 + b"\\xff" * 4, 128)
if sys.argv[1] == "confined":
    assert all(sandbox.confine(sandbox.libraries()).values())
def call(name, *arguments):
    ctypes.set_errno(0)
    if libc.syscall(filtering.number(name), *arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
attempts = {
    "prlimit64": lambda: resource.prlimit(other, resource.RLIMIT_CPU),
    "prlimit64 sets": lambda: call("prlimit64", other, resource.RLIMIT_NOFILE, None, None),
    "kill": lambda: os.kill(other, 0),
    "tkill": lambda: call("tkill", other, 0),
    "tgkill": lambda: call("tgkill", other, other, 0),
    "rt_sigqueueinfo": lambda: call("rt_sigqueueinfo", other, 0, signalled),
    "rt_tgsigqueueinfo": lambda: call("rt_tgsigqueueinfo", other, other, 0, signalled),
    "pidfd_open": lambda: os.pidfd_open(other),
    "pidfd_send_signal": lambda: signal.pidfd_send_signal(one, 0),
    "ptrace": lambda: call("ptrace", 2, other, None, None),
    "process_vm_readv": lambda: call("process_vm_readv", other, None, 0, None, 0, 0),
    "process_vm_writev": lambda: call("process_vm_writev", other, None, 0, None, 0, 0),
    "process_madvise": lambda: call("process_madvise", one, None, 0, 0, 0),
    "kcmp": lambda: call("kcmp", os.getpid(), other, 99, 0, 0),
    "sched_setaffinity": lambda: os.sched_setaffinity(other, mask),
    "sched_setscheduler": lambda: os.sched_setscheduler(other, os.SCHED_OTHER, os.sched_param(0)),
    "sched_setparam": lambda: os.sched_setparam(other, os.sched_param(0)),
    "sched_setattr": lambda: call("sched_setattr", other, None, 0),
    "setpriority": lambda: os.setpriority(os.PRIO_PROCESS, other, nice),
    "ioprio_set": lambda: call("ioprio_set", 1, other, 0),
    "F_SETOWN": lambda: fcntl.fcntl(one, fcntl.F_SETOWN, other),
    "F_SETSIG": lambda: fcntl.fcntl(one, fcntl.F_SETSIG, 0),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError as error:
        print(name, errno.errorcode[error.errno], sep=": ")
    else:
        print(name, "done", sep=": ")
"""

MAY_STILL = """
import os, resource, signal
from covey.analysis.media import sandbox
assert all(sandbox.confine(sandbox.libraries()).values())
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (10, most))
assert resource.prlimit(os.getpid(), resource.RLIMIT_NOFILE) == (10, most)
os.sched_setaffinity(0, os.sched_getaffinity(os.getpid()))
signal.signal(signal.SIGUSR1, lambda *_: print("own signal", flush=True))
signal.raise_signal(signal.SIGUSR1)
os.abort()
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


def reached(how: str) -> dict[str, str]:
    command = [sys.executable, "-c", REACHES, how]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(line.split(": ") for line in done.stdout.splitlines())


def test_a_confined_process_can_do_nothing_to_its_parent() -> None:
    assert {name: end for name, end in reached("confined").items() if end != "EPERM"} == {}


def test_what_is_tried_on_a_parent_works_for_a_process_that_is_not_confined() -> None:
    """So it is the filter that refuses it. What containers refuse themselves is left out."""
    of_a_container = ("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp")
    ends = {name: end for name, end in reached("free").items() if name not in of_a_container}
    assert ends.pop("pidfd_send_signal") == "EBADF"
    assert ends.pop("sched_setattr") == "EINVAL"
    assert set(ends.values()) == {"done"}


def test_processes_do_not_hold_where_limits_of_others_can_be_reached() -> None:
    """A filter as it was before it looked at arguments is found out by the probe."""
    lax = "from covey.analysis.media import filtering; filtering.OWN.clear(); "
    asks = "from covey.analysis.media import sandbox; print(sandbox.confine(sandbox.libraries())[sandbox.PROCESSES])"
    done = subprocess.run([sys.executable, "-c", lax + asks], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_confined_process_may_still_do_to_itself_what_libc_does() -> None:
    done = subprocess.run([sys.executable, "-c", MAY_STILL], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("own signal\n", "", -signal.SIGABRT)


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
        shutil.copytree(source / "processes", folder / "libraries" / "covey" / "processes")
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
    async with patience():
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
        await asyncio.wait_for(gone.wait(), PATIENCE)
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
    assert one.has_audio
