"""Withdrawals: runs that were handed out and have not started are taken back when an order says so.

An order is written to the database first, so that nothing new is handed out. Then every process takes back what it has:
the one that answers the order waits for that before it answers (see `orders`), the others hear of it by a wakeup. What
does not come back in time may start until its start lease is over, and is active as long as that.
"""

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Mapping

from covey.engine.dispatcher import Dispatcher, Which

WAIT_SECONDS = 0.3
"""An order is answered after this at the latest, whatever has not come back by then."""


def of_batch(batch: str) -> Which:
    """An order about a whole batch."""
    return lambda run: run.batch == batch


def of_item(batch: str, seq: int) -> Which:
    """An order about one item."""
    return lambda run: (run.batch, run.seq) == (batch, seq)


def of_refs(workspace: str, refs: Collection[str]) -> Which:
    """An order about all that a workspace does with some refs."""
    these = frozenset(refs)
    return lambda run: run.ref in these and run.workspace == workspace


class Withdrawals:
    """Takes runs back from the runners of one process."""

    def __init__(self, dispatchers: Mapping[str, Dispatcher]) -> None:
        """`dispatchers` are those of the process, by lane."""
        self._dispatchers = dispatchers

    def begin(self, which: Which) -> None:
        """Take back what an order is about, and wait for nothing."""
        for dispatcher in self._dispatchers.values():
            dispatcher.withdraw(which)

    async def complete(self, which: Which) -> None:
        """Take back what an order is about, and wait until each of its runs has ended or is known to have started, 300
        ms at most."""
        self.begin(which)
        await _at_most(one.wait_for_withdrawals(which) for one in self._dispatchers.values())

    async def wait_for_claims(self) -> None:
        """Wait until all is in hand that was handed out until now, 300 ms at most."""
        await _at_most(one.wait_for_claim() for one in self._dispatchers.values())


async def _at_most(waits: Iterable[Coroutine[None, None, None]]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=WAIT_SECONDS)
        for task in late:
            task.cancel()
