"""What the next start can know of calls that nobody said goodbye to."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from covey.calls.call import CallEnd
from covey.calls.trunks.dialler import open_calls

from .conftest import OrderMaker, Phones, PhonesMaker, TrunkMaker, Watch, far_end, until_gone

TALKS = "+14155550195"
RINGS = "+14155550165"


def marked(folder: Path) -> list[int]:
    """The diallers that have a marker."""
    return sorted(int(path.name.partition("-")[0]) for path in folder.iterdir())


def test_a_folder_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    open_calls.clear(folder)
    assert open_calls.left_open(folder) is None
    open_calls.write_marker(open_calls.marker_of(folder, 7))
    assert marked(folder) == [7]
    assert open_calls.left_open(folder) is not None
    open_calls.clear(folder)
    assert open_calls.left_open(folder) is None


async def test_a_dialler_is_marked_while_it_may_have_calls(
    phones: Phones, trunk_maker: TrunkMaker, order: OrderMaker, tmp_path: Path
) -> None:
    folder = tmp_path / "open"
    trunk = await trunk_maker(phones.port, open_calls=folder)
    assert marked(folder) == trunk.pids
    watch = Watch()
    call = asyncio.create_task(trunk.place(order(TALKS), watch))
    await watch.talks.wait()
    await trunk.stop()
    assert (await call).end is CallEnd.aborted
    assert open_calls.left_open(folder) is None


async def test_the_trunk_unmarks_a_dead_dialler_when_its_calls_are_over(
    phones: Phones, trunk_maker: TrunkMaker, order: OrderMaker, tmp_path: Path
) -> None:
    folder = tmp_path / "open"
    trunk = await trunk_maker(phones.port, open_calls=folder)
    watch = Watch()
    call = asyncio.create_task(trunk.place(order(TALKS), watch))
    await watch.talks.wait()
    victim = trunk.pids[0]
    os.kill(victim, signal.SIGKILL)
    assert (await call).end is CallEnd.outcome_unknown
    assert victim in marked(folder)  # late answers may still come
    await trunk.stop()
    assert open_calls.left_open(folder) is None


async def test_an_unanswered_goodbye_leaves_the_marker(
    phones_maker: PhonesMaker, trunk_maker: TrunkMaker, order: OrderMaker, tmp_path: Path
) -> None:
    """Nobody answers the CANCEL: the phone may be ringing. A life that ends leaves word of it; one that goes on after a
    dialler's death has told everybody itself."""
    phones = phones_maker("--swallow")
    for how in ("stopped", "killed"):
        folder = tmp_path / how
        trunk = await trunk_maker(phones.port, open_calls=folder)
        call = asyncio.create_task(trunk.place(order(RINGS), Watch()))
        await phones.until("swallowed", 1 if how == "stopped" else 2)
        pid = trunk.pids[0]
        if how == "killed":
            os.kill(pid, signal.SIGKILL)
            await call
        await trunk.stop()
        await call
        assert marked(folder) == ([pid] if how == "stopped" else [])


async def test_a_call_just_hung_up_counts_until_the_phone_knows(
    trunk_maker: TrunkMaker, order: OrderMaker, tmp_path: Path
) -> None:
    """The report is there, the goodbye is not answered: it counts as open."""
    folder = tmp_path / "open"
    async with far_end("180 Ringing") as port:
        trunk = await trunk_maker(port, open_calls=folder)
        report = await trunk.place(order(RINGS, ring_seconds=0.5), Watch())
        assert report.end is CallEnd.no_answer
        pid = trunk.pids[0]
        await trunk.stop()
    assert marked(folder) == [pid]


async def test_killed_together_they_leave_the_marker_and_killed_alone_the_trunk_does_not(
    phones_maker: PhonesMaker, clips: dict[str, str], tmp_path: Path
) -> None:
    phones = phones_maker("--ring", "0.3")
    for how in ("trunk", "both"):
        folder = tmp_path / how / "open"
        folder.parent.mkdir()
        script = Path(__file__).with_name("parent.py")
        command = [
            sys.executable,
            str(script),
            str(phones.port),
            str(folder.with_name("lock")),
            clips["opening"],
            TALKS,
        ]
        parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        dialler = int(parent.stdout.readline().split()[1])
        await phones.until("answered", 1 if how == "trunk" else 2)
        assert marked(folder) == [dialler]
        if how == "both":
            os.kill(dialler, signal.SIGSTOP)
        parent.kill()
        parent.wait()
        parent.stdout.close()
        if how == "both":
            os.kill(dialler, signal.SIGKILL)
        await until_gone(dialler)
        assert (open_calls.left_open(folder) is not None) is (how == "both")
