"""What becomes of calls whose dialler or whose trunk is killed in the middle of them."""

import asyncio
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from covey.calls.call import CallEnd, Recognition
from covey.calls.trunks.dialler import supervisor
from covey.calls.trunks.sip import SipTrunk
from tests.calls.trunks.dying import TALKS, start

from ...patience import PATIENCE
from .conftest import OrderMaker, Phones, PhonesMaker, TrunkMaker, Watch, alive, diallers, until_gone

RINGS = "+14155550165"
BUSY = "+14155550160"
FREED_SECONDS = 10.0
"""Three are promised, and a busy machine is forgiven some more; what nobody ends rings and talks for longer."""


async def test_a_killed_dialler_leaves_no_phone_off_the_hook(
    trunk: SipTrunk, phones: Phones, order: OrderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reports come when the phones have confirmed the end, and not when nobody waits for that any longer."""
    monkeypatch.setattr(supervisor, "PATIENCE_SECONDS", PATIENCE)
    orders = [order(TALKS) for _ in range(10)] + [order(RINGS) for _ in range(10)]
    calls, watches = await start(trunk, orders)
    await asyncio.gather(*(watch.talks.wait() for watch in watches[:10]), *(w.rang.wait() for w in watches[10:]))
    victim, killed_at = trunk.pids[0], time.time()
    os.kill(victim, signal.SIGKILL)

    reports = await asyncio.gather(*calls)
    assert {report.end for report in reports} == {CallEnd.outcome_unknown}
    assert all(report.dialled_at and report.sip_call_id for report in reports)
    ended = await phones.until("ended", 20)
    assert {line["ended_by"] for line in ended} == {"caller"}
    assert sorted(line["code"] for line in ended) == [200] * 10 + [487] * 10
    assert max(line["bye_at"] for line in ended) - killed_at < FREED_SECONDS
    assert not alive(victim)
    assert max(report.ended_at.timestamp() for report in reports) - killed_at < supervisor.PATIENCE_SECONDS

    again = await trunk.place(order(BUSY, room=10.0), Watch())
    assert again.end is CallEnd.busy
    assert trunk.restarts == 1
    assert len(phones.lines("invite")) == 21


async def test_killed_at_the_moment_of_the_dial(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    """The kill comes with the first INVITE: whatever was on its way, every phone that saw one sees its end."""
    orders = [order(RINGS, delay=0.002 * place) for place in range(30)]
    calls, _ = await start(trunk, orders)
    await phones.until("invite", 5)
    os.kill(trunk.pids[0], signal.SIGKILL)
    reports = await asyncio.gather(*calls)
    rung = {line["item"] for line in phones.lines("invite")}
    for each, report in zip(orders, reports, strict=True):
        assert report.end in (CallEnd.outcome_unknown, CallEnd.not_started)
        if each.item in rung:
            assert report.end is CallEnd.outcome_unknown
    ended = await phones.until("ended", len(rung), FREED_SECONDS)
    assert {line["item"] for line in ended} == rung


async def test_a_call_that_had_not_begun_is_not_started(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    (call,), _ = await start(trunk, [order(TALKS, delay=5.0)])
    await asyncio.sleep(0)
    os.kill(trunk.pids[0], signal.SIGKILL)
    report = await call
    assert (report.end, report.dialled_at) == (CallEnd.not_started, None)
    assert phones.lines("invite") == []


async def test_signals_to_a_dialler_alone_do_nothing(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    (call,), (watch,) = await start(trunk, [order("+14155550140")])
    await watch.talks.wait()
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(trunk.pids[0], name)
    assert (await call).end is CallEnd.successful


async def test_a_call_whose_end_nobody_confirms_is_reported_late(
    phones_maker: PhonesMaker, trunk_maker: TrunkMaker, order: OrderMaker
) -> None:
    """Until then its phone may still be ringing, and no other call may take its place."""
    phones = phones_maker("--swallow")
    trunk = await trunk_maker(phones.port)
    calls, _ = await start(trunk, [order(RINGS) for _ in range(5)])
    await phones.until("swallowed", 5)
    killed_at = time.time()
    os.kill(trunk.pids[0], signal.SIGKILL)
    reports = await asyncio.gather(*calls)
    assert {report.end for report in reports} == {CallEnd.outcome_unknown}
    assert min(report.ended_at.timestamp() for report in reports) - killed_at >= supervisor.PATIENCE_SECONDS
    cancelled = await phones.until("cancelled", 5)
    assert min(line["bye_at"] for line in cancelled) - killed_at < FREED_SECONDS


@pytest.mark.parametrize("switches", [("--ring", "0.3"), ("--swallow",)])
async def test_a_killed_trunk_takes_its_dialler_along(
    phones_maker: PhonesMaker, clips: dict[str, str], tmp_path: Path, switches: tuple[str, ...]
) -> None:
    phones = phones_maker(*switches)
    lock = tmp_path / "owner.lock"
    numbers = [TALKS] * 5 + [RINGS] * 5
    script = Path(__file__).with_name("parent.py")
    command = [sys.executable, str(script), str(phones.port), str(lock), clips["opening"], *numbers]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    dialler = int(parent.stdout.readline().split()[1])
    if "--swallow" in switches:
        await phones.until("swallowed", 10)
    else:
        await phones.until("answered", 5)
        await phones.until("invite", 10)
    killed_at = time.time()
    parent.kill()
    parent.wait()
    parent.stdout.close()

    event = "cancelled" if "--swallow" in switches else "ended"
    ended = await phones.until(event, 10, FREED_SECONDS)
    assert max(line["bye_at"] for line in ended) - killed_at < FREED_SECONDS
    await until_gone(dialler, FREED_SECONDS)
    with lock.open() as free:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)


async def test_a_frozen_dialler_is_replaced(
    trunk: SipTrunk, phones: Phones, order: OrderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 3)
    orders = [order(TALKS), order(RINGS)]
    calls, watches = await start(trunk, orders)
    await asyncio.gather(watches[0].talks.wait(), watches[1].rang.wait())
    victim = trunk.pids[0]
    os.kill(victim, signal.SIGSTOP)

    reports = await asyncio.wait_for(asyncio.gather(*calls), 3 + 2 * FREED_SECONDS)
    assert [report.end for report in reports] == [CallEnd.outcome_unknown] * 2
    ended = await phones.until("ended", 2)
    assert sorted((line["ended_by"], line["code"]) for line in ended) == [("caller", 200), ("caller", 487)]
    assert (await trunk.place(order(BUSY, room=10.0), Watch())).end is CallEnd.busy
    assert not alive(victim)


async def test_a_dialler_that_does_not_get_ready_is_replaced(
    trunk_maker: TrunkMaker, phones: Phones, order: OrderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "READY_SECONDS", 3)
    starting = asyncio.create_task(trunk_maker(phones.port))
    while not (found := diallers()):
        await asyncio.sleep(0)
    os.kill(found[0], signal.SIGSTOP)
    trunk = await starting
    assert trunk.pids != found
    assert (await trunk.place(order(BUSY), Watch())).end is CallEnd.busy


async def test_a_dial_that_the_stack_does_not_confirm_rings_nobody_later(
    trunk: SipTrunk, phones: Phones, order: OrderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All threads of the dialler but its loop's stand still: the dial command stays in the stack's queue."""
    monkeypatch.setattr(supervisor, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 30)
    threads = StoppedThreads(trunk.pids[0])
    try:
        report = await trunk.place(order(RINGS), Watch())
    finally:
        threads.release()
    assert report.end is CallEnd.outcome_unknown
    busy = order(BUSY, room=10.0)
    assert (await trunk.place(busy, Watch())).end is CallEnd.busy
    assert {line["item"] for line in phones.lines("invite")} == {busy.item}


async def test_each_dialler_that_died_is_counted(trunk_maker: TrunkMaker, phones: Phones, order: OrderMaker) -> None:
    died = asyncio.Event()
    trunk = await trunk_maker(phones.port, on_restart=died.set)
    assert not died.is_set()
    os.kill(trunk.pids[0], signal.SIGKILL)
    await asyncio.wait_for(died.wait(), PATIENCE)
    await trunk.stop()
    assert trunk.restarts == 1


async def test_a_trunk_starts_again_after_a_stop(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    before = trunk.pids
    await trunk.stop()
    assert trunk.pids == []
    await trunk.start()
    assert trunk.pids != before
    assert (await trunk.place(order(BUSY), Watch())).end is CallEnd.busy
    assert trunk.restarts == 0


async def test_a_failed_start_leaves_nothing_and_can_be_repeated(
    trunk_maker: TrunkMaker, phones: Phones, order: OrderMaker, tmp_path: Path
) -> None:
    """Its diallers cannot make their marker, so none gets ready."""
    in_the_way = tmp_path / "open"
    in_the_way.touch()
    trunk = await trunk_maker(phones.port)
    await trunk.stop()
    broken = SipTrunk(trunk.settings, nothing, open_calls=in_the_way / "calls")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(broken.start(), 1.0)
        assert diallers() == []
    in_the_way.unlink()
    try:
        await broken.start()
        assert (await broken.place(order(BUSY), Watch())).end is CallEnd.busy
        assert len(diallers()) == 1
    finally:
        await broken.stop()


async def test_a_start_that_is_stopped_is_no_success(trunk_maker: TrunkMaker, phones: Phones) -> None:
    trunk = await trunk_maker(phones.port)
    await trunk.stop()
    starting = asyncio.create_task(trunk.start())
    while not diallers():
        await asyncio.sleep(0)
    await trunk.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        await starting
    assert diallers() == []


async def nothing(pcm: bytes, expected: tuple[str, ...]) -> Recognition:
    return Recognition("", 0.0)


class StoppedThreads:
    """Holds all threads of a process but its main one, by ptrace, until released."""

    _SEIZE, _INTERRUPT, _DETACH, _ANY_THREAD = 0x4206, 0x4207, 17, 0x40000000

    def __init__(self, pid: int) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        threads = [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
        self._threads = [thread for thread in threads if thread != pid]
        for thread in self._threads:
            if self._libc.ptrace(self._SEIZE, thread, None, None):
                pytest.skip(f"this machine lets nobody trace: {os.strerror(ctypes.get_errno())}")
            self._libc.ptrace(self._INTERRUPT, thread, None, None)
            os.waitpid(thread, self._ANY_THREAD)

    def release(self) -> None:
        for thread in self._threads:
            if self._libc.ptrace(self._DETACH, thread, None, None):
                os.waitpid(thread, self._ANY_THREAD)
