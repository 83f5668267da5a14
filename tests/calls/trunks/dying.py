"""Calls that are placed together, for tests of what becomes of them."""

import asyncio

from covey.calls.call import CallOrder, CallReport
from covey.calls.trunks.sip import SipTrunk

from .conftest import Watch

TALKS = "+14155550195"


async def start(trunk: SipTrunk, orders: list[CallOrder]) -> tuple[list["asyncio.Task[CallReport]"], list[Watch]]:
    watches = [Watch() for _ in orders]
    calls = [asyncio.create_task(trunk.place(each, watch)) for each, watch in zip(orders, watches, strict=True)]
    return calls, watches
