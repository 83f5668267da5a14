"""Why a batch that could go on starts nothing now (contract 12.16)."""

from datetime import timedelta

from covey.api.services import Services
from covey.domain.batch import Batch, BatchState, Holding
from covey.domain.item import ItemState
from covey.domain.lane import LaneStatus

_SOON = timedelta(seconds=2)

PAUSED = {
    "restored": "The database was restored from a backup; calls made since are not in it. Look first, then resume",
    "database_lost_commits": "The database failed over and lost what it had acknowledged; some of these numbers may "
    "have been called without a trace. Look first, then resume",
    "paused": "Somebody paused the batch; it goes on when it is resumed",
}
_DEFERRED = {
    "outside_hours": "It is outside the hours in which these numbers may be called",
    "ref_active": "The numbers that are left are in other calls of the workspace",
}


async def holding(services: Services, batch: Batch, lanes: dict[str, LaneStatus] | None = None) -> Holding | None:
    """What holds `batch` back; None if nothing does, or if it cannot go on anyway. `lanes` saves the look-up."""
    if batch.state not in (BatchState.queued, BatchState.running, BatchState.paused):
        return None
    if batch.paused_at is not None:
        return _paused(batch)
    if not batch.counts.waiting:
        return None
    if batch.lane not in services.trunks:
        return Holding("trunk_missing", f"The settings have no trunk {batch.lane} any more")
    lane = lanes.get(batch.lane) if lanes is not None else await services.store.lane(batch.lane)
    if lane is not None and lane.open_until is not None:
        return Holding("trunk_down", f"The trunk does not work: {lane.open_reason or 'no answer'}", lane.open_since)
    if batch.cap is not None and batch.counts.active >= batch.cap:
        return Holding("limit_full", f"The batch's own {batch.cap} calls at once are all taken")
    if lane is not None and lane.active >= lane.cap:
        return Holding("limit_full", f"All {lane.cap} channels of the trunk are taken")
    return await _deferred(services, batch)


def _paused(batch: Batch) -> Holding:
    code, _, detail = (batch.pause_reason or "paused").partition(":")
    if code == "failing":
        text = f"The last calls all ended alike ({detail or 'failed'}), so the batch paused itself; look, then resume"
        return Holding("failing", text, batch.paused_at)
    if code not in PAUSED:
        code = "paused"
    return Holding(code, PAUSED[code], batch.paused_at)


async def _deferred(services: Services, batch: Batch) -> Holding | None:
    """Everything that is left waits for a later time."""
    if batch.counts.active or batch.next_at is None or batch.next_at <= batch.read_at + _SOON:
        return None
    _, items = await services.store.items(batch.id, ItemState.waiting, limit=1)
    reason = items[0].reason if items else None
    if reason in _DEFERRED:
        return Holding("number_busy" if reason == "ref_active" else str(reason), _DEFERRED[reason])
    return Holding("next_attempt", f"What is left is tried again from {batch.next_at:%Y-%m-%dT%H:%M:%SZ}")
