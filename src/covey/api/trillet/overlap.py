"""Numbers of a list that other batches call, too: a warning, which takes a second at most (contract 12.6)."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta

from covey.api.kit.context import Context
from covey.api.trillet.convert import batch_out
from covey.calls.intake import CheckedList
from covey.domain.errors import Unavailable

SECONDS = 1.0
"""For so long it is looked. A start must not wait for a warning."""

LATELY = timedelta(hours=24)
PIECE = 2000
"""So many rows are looked up at once: some tens of milliseconds, in which other readers wait."""


@dataclass(slots=True)
class Overlap:
    """What was found: the numbers, one batch that has some of them, after how many rows the time was over."""

    numbers: int = 0
    batch: str = ""
    looked_at: int = 0
    over: bool = False


async def warnings_of(ctx: Context, trunk: str, checked: CheckedList) -> list[str]:
    """A sentence if numbers of the list are also in a batch of the workspace on the same trunk that has not ended or
    was accepted in the last 24 hours."""
    found = await _look(ctx, trunk, checked)
    where = f"a batch on the trunk {trunk} that has not ended or was accepted in the last 24 hours"
    if found.numbers:
        count = f"{'At least ' if found.over else ''}{found.numbers:,} of the numbers"
        verb = "is" if found.numbers == 1 else "are"
        return [f"{count} {verb} also in {where}, such as {batch_out(found.batch)}: both call them"]
    if found.over:
        return [
            f"After {SECONDS:g} s only {found.looked_at:,} of {checked.total:,} rows were compared with other batches; "
            f"none of their numbers is in {where}"
        ]
    return []


async def _look(ctx: Context, trunk: str, checked: CheckedList) -> Overlap:
    found, numbers = Overlap(), set[str]()
    since = ctx.services.clock.now() - LATELY
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    try:
        async with aclosing(checked.pieces(PIECE)) as pieces:
            async for piece in pieces:
                refs = list({item.ref for item in piece if item.ref})
                async with asyncio.timeout_at(end):
                    left = end - loop.time()
                    there = await ctx.services.store.refs_elsewhere(ctx.workspace, trunk, refs, since, left)
                numbers.update(there)
                found.batch = found.batch or next(iter(there.values()), "")
                found.looked_at += len(piece)
    except (TimeoutError, Unavailable):
        found.over = True
    found.numbers = len(numbers)
    return found
