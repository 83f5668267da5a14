"""What becomes of calls whose dialler or whose trunk is killed in the middle of them."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from covey.calls.call import CallEnd, CallOrder, CallReport
from covey.calls.trunks.sip import SipTrunk

from .conftest import OrderMaker, Phones, PhonesMaker, TrunkMaker, Watch, alive, until_gone

TALKS = "+14155550195"
RINGS = "+14155550165"
FREED_SECONDS = 3.0


async def start(trunk: SipTrunk, orders: list[CallOrder]) -> tuple[list["asyncio.Task[CallReport]"], list[Watch]]:
    watches = [Watch() for _ in orders]
    calls = [asyncio.create_task(trunk.place(each, watch)) for each, watch in zip(orders, watches, strict=True)]
    return calls, watches


async def test_a_killed_dialler_leaves_no_phone_off_the_hook(
    trunk: SipTrunk, phones: Phones, order: OrderMaker
) -> None:
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

    again = await trunk.place(order("+14155550160", room=10.0), Watch())
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


async def test_a_dialler_that_swallowed_every_answer_still_cancels(
    phones_maker: PhonesMaker, trunk_maker: TrunkMaker, order: OrderMaker
) -> None:
    phones = phones_maker("--swallow")
    trunk = await trunk_maker(phones.port)
    calls, _ = await start(trunk, [order(RINGS) for _ in range(5)])
    await phones.until("swallowed", 5)
    os.kill(trunk.pids[0], signal.SIGKILL)
    reports = await asyncio.gather(*calls)
    assert {report.end for report in reports} == {CallEnd.outcome_unknown}
    await phones.until("cancelled", 5, FREED_SECONDS)


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
