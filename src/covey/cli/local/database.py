"""Looking into a database: is it sound, and do its counts agree with its rows."""

import asyncio
from pathlib import Path

from covey.domain.batch import BatchState
from covey.domain.clock import SystemClock
from covey.store.migrate import StoreError
from covey.store.sqlite import SqliteStore

UNENDED = tuple(
    state
    for state in BatchState
    if state not in (BatchState.canceled, BatchState.expired, BatchState.failed, BatchState.completed)
)


def recount(path: Path) -> tuple[list[str], int]:
    """What does not add up in unended batches, a sentence each, and how many were looked at.

    Only while no server has the database open.
    """
    return asyncio.run(_recount(path))


async def _recount(path: Path) -> tuple[list[str], int]:
    store = SqliteStore(path, SystemClock())
    try:
        await store.open()
    except StoreError as error:
        return [str(error)], 0
    try:
        wrong: list[str] = []
        offset, total = 0, 1
        while offset < total:
            batches, total = await store.batches(None, states=UNENDED, origin=None, offset=offset, limit=100)
            for batch in batches:
                differences = await store.recount(batch.id)
                wrong += [
                    f"batch_{batch.id}: {name} says {kept}, the rows say {counted}"
                    for name, (kept, counted) in differences.items()
                ]
            offset += max(1, len(batches))
        return wrong, total
    finally:
        await store.close()
