"""Calls that are taken back: before the dial nobody is rung, after it the far side is told."""

import asyncio
import os
import signal
import time

import pytest

from covey.calls.call import CallEnd, CallReport
from covey.calls.trunks.sip import SipTrunk

from .conftest import OrderMaker, Phones, PhonesMaker, TrunkMaker, Watch

BUSY = "+14155550160"
RINGS = "+14155550165"
TALKS = "+14155550195"
SILENT_SECONDS = 0.25


@pytest.fixture
def slow_phones(phones_maker: PhonesMaker) -> Phones:
    """Phones that answer nothing to an INVITE for a while."""
    return phones_maker("--silent", str(SILENT_SECONDS))


async def test_a_call_withdrawn_before_its_start_rings_nobody(
    trunk: SipTrunk, phones: Phones, order: OrderMaker
) -> None:
    waiting, watch = order(RINGS, delay=60.0), Watch()
    placed = asyncio.create_task(trunk.place(waiting, watch))
    await asyncio.sleep(0)
    await trunk.withdraw(waiting.id)
    report = await asyncio.wait_for(placed, 10)
    assert (report.end, report.dialled_at, report.text) == (CallEnd.not_started, None, "withdrawn before the dial")
    assert not watch.has_it.is_set()
    assert phones.lines("invite") == []


async def test_a_call_that_was_dialled_is_withdrawn_no_more(
    slow_phones: Phones, trunk_maker: TrunkMaker, order: OrderMaker
) -> None:
    """It goes on, and the word on it comes when the far side has answered its INVITE: before, it may not have left."""
    trunk = await trunk_maker(slow_phones.port)
    dialled, watch = order(TALKS), Watch()
    placed = asyncio.create_task(trunk.place(dialled, watch))
    await watch.dialled.wait()
    await trunk.withdraw(dialled.id)
    await asyncio.wait_for(watch.has_it.wait(), 10)
    said_at = time.time()
    (arrived,) = slow_phones.lines("arrived")
    assert said_at >= arrived["invite_at"] + SILENT_SECONDS
    await asyncio.wait_for(watch.talks.wait(), 10)
    await trunk.hang_up(dialled.id)
    assert (await placed).end is CallEnd.aborted


async def test_a_call_that_waits_for_a_dialler_is_withdrawn_at_once(
    trunk: SipTrunk, phones: Phones, order: OrderMaker
) -> None:
    victim = trunk.pids[0]
    os.kill(victim, signal.SIGKILL)
    async with asyncio.timeout(10):
        while victim in trunk.pids:
            await asyncio.sleep(0)
    waiting = order(RINGS, room=60.0)
    placed = asyncio.create_task(trunk.place(waiting, Watch()))
    await asyncio.sleep(0)
    await trunk.withdraw(waiting.id)
    assert (await asyncio.wait_for(placed, 10)).end is CallEnd.not_started
    assert trunk.pids == [], "it waited for the next dialler"
    assert phones.lines("invite") == []


async def _decided(placed: "asyncio.Task[CallReport]", watch: Watch) -> None:
    """Wait for the trunk's word on a call that was withdrawn: it was not dialled, or the far side has it."""
    reached = asyncio.create_task(watch.has_it.wait())
    await asyncio.wait([placed, reached], return_when=asyncio.FIRST_COMPLETED)
    reached.cancel()


async def test_whoever_was_called_not_dialled_is_not_and_no_invite_comes_after_the_word(
    trunk: SipTrunk, phones: Phones, order: OrderMaker
) -> None:
    """Forty calls, one every 5 ms, withdrawn together in their midst."""
    orders = [order(RINGS, delay=0.005 * place, room=5.0) for place in range(40)]
    watches = [Watch() for _ in orders]
    calls = [asyncio.create_task(trunk.place(*each)) for each in zip(orders, watches, strict=True)]
    await phones.until("invite", 10)
    await asyncio.gather(*(trunk.withdraw(each.id) for each in orders))
    async with asyncio.timeout(20):
        await asyncio.gather(*map(_decided, calls, watches))
    said_at = time.time()
    not_dialled = {each.item for each, call in zip(orders, calls, strict=True) if call.done()}
    for each in orders:
        await trunk.hang_up(each.id)
    reports = await asyncio.gather(*calls)
    # A busy phone writes down an INVITE some time after its stack has answered it.
    invites = await phones.until("invite", len(orders) - len(not_dialled))
    assert {line["item"] for line in invites} == {each.item for each in orders} - not_dialled
    # By the dialler's clock: a busy phone reads an INVITE some time after it was sent.
    assert max(report.dialled_at.timestamp() for report in reports if report.dialled_at) <= said_at
    assert {report.end for report in reports} <= {CallEnd.not_started, CallEnd.aborted}


async def test_a_call_hung_up_before_the_first_answer_is_cancelled(
    slow_phones: Phones, trunk_maker: TrunkMaker, order: OrderMaker
) -> None:
    """The stack sends nothing at such a moment, so the hang-up waits; nobody is called hung up whose phone rings on.
    Half of them are hung up when the INVITE may not have left yet, half when the far side has it."""
    trunk = await trunk_maker(slow_phones.port)
    orders = [order(RINGS, room=5.0) for _ in range(10)]
    watches = [Watch() for _ in orders]
    calls = [asyncio.create_task(trunk.place(*each)) for each in zip(orders, watches, strict=True)]
    for each, watch in zip(orders[:5], watches, strict=False):
        await watch.dialled.wait()
        await trunk.hang_up(each.id)
    await slow_phones.until("arrived", 10)
    for each in orders[5:]:
        await trunk.hang_up(each.id)
    reports = await asyncio.gather(*calls)
    ended = {line["item"]: line for line in await slow_phones.until("ended", len(orders))}
    arrived = {line["item"]: line["invite_at"] for line in slow_phones.lines("arrived")}
    for each, report in zip(orders, reports, strict=True):
        assert report.end is CallEnd.aborted
        assert (ended[each.item]["ended_by"], ended[each.item]["code"]) == ("caller", 487)
        assert report.ended_at.timestamp() >= arrived[each.item] + SILENT_SECONDS, "reported while it was about to ring"


async def test_a_ring_that_is_over_before_the_first_answer_is_cancelled(
    slow_phones: Phones, trunk_maker: TrunkMaker, order: OrderMaker
) -> None:
    trunk = await trunk_maker(slow_phones.port)
    report = await trunk.place(order(RINGS, ring_seconds=0.1), Watch())
    (seen,) = await slow_phones.until("ended", 1)
    assert report.end is CallEnd.no_answer
    assert (seen["ended_by"], seen["code"]) == ("caller", 487)
