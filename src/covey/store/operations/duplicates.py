"""What is there already of what is to be started: the same list, or some of its items."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from covey.domain.ids import first_id
from covey.store.operations.transaction import Database, micros

OUT_OF_ORDER = timedelta(hours=1)
"""By so much a batch's id may be older than its acceptance: its list was filled meanwhile, and clocks differ."""


async def find_fingerprint(
    database: Database, workspace: str, fingerprint: str, lane: str, since: datetime
) -> str | None:
    """The newest batch of this fingerprint on this lane that has not ended or was accepted after `since`."""
    asked = {"workspace": workspace, "fingerprint": fingerprint, "lane": lane, "since": micros(since)}
    found = await database.value("find_fingerprint", asked)
    return None if found is None else str(found.hex())


async def refs_elsewhere(
    database: Database, workspace: str, lane: str, refs: Sequence[str], since: datetime, seconds: float
) -> dict[str, str]:
    """Which of these refs are also in a batch on this lane that has not ended or was accepted after `since`, each with
    one such batch. Raises Unavailable when that takes longer than `seconds`."""
    await database.end_after(seconds)
    where = {"workspace": workspace, "lane": lane}
    young = first_id(since - OUT_OF_ORDER)
    oldest = min(young, await database.value("oldest_open", where) or young)
    asked = {**where, "refs": database.array(refs), "oldest": oldest, "since": micros(since)}
    return {ref: batch.hex() for ref, batch in await database.rows("refs_elsewhere", asked)}
