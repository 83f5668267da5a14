"""Why a batch that could go on starts nothing now, in the words of its dialect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from covey.api.kit.formats import utc
from covey.api.kit.services import Services
from covey.domain.batch import Batch, BatchState, Holding
from covey.domain.item import ItemState
from covey.domain.lane import LaneStatus

_SOON = timedelta(seconds=2)


_GOING = (BatchState.queued, BatchState.running, BatchState.paused)


@dataclass(frozen=True, slots=True)
class LaneVocabulary:
    """How a kind of batch speaks of its lane. `lane` begins the codes and names it in sentences, `slots` are what the
    lane has so many of, `lost` is what may have been done unseen. `codes` says what a code means for which a breaker
    opened, `there` whether the settings still have a lane of this name, which begins with `prefix`."""

    lane: str
    items: str
    slots: str
    lost: str
    codes: Mapping[str, str]
    there: Callable[[Services, str], bool]
    prefix: str = ""


_PAUSED = {
    "restored": "The database was restored from a backup; {items} made since are not in it. Look first, then resume",
    "database_lost_commits": "The database failed over and lost what it had acknowledged; some of {lost} without a "
    "trace. Look first, then resume",
    "paused": "Somebody paused the batch; it goes on when it is resumed",
}


_DEFERRED = {
    "outside_hours": "These numbers may be called from {hours} in their own local time; the first may be at {at}",
    "ref_active": "The numbers that are left are in other calls of the workspace",
}


async def holding(
    services: Services, batch: Batch, vocabulary: LaneVocabulary, lanes: Mapping[str, LaneStatus] | None = None
) -> Holding | None:
    """What holds `batch` back; None if nothing does, or if it cannot go on anyway. `lanes` saves the look-up."""
    if batch.state not in _GOING:
        return None
    if batch.paused_at is not None:
        return _paused(batch, vocabulary)
    if not batch.counts.waiting:
        return None
    name = batch.lane.removeprefix(vocabulary.prefix)
    if not vocabulary.there(services, name):
        return Holding(f"{vocabulary.lane}_missing", f"The settings have no {vocabulary.lane} {name} any more")
    lane = lanes.get(batch.lane) if lanes is not None else await services.store.lane(batch.lane)
    if lane is not None and lane.open_until is not None:
        return Holding(f"{vocabulary.lane}_down", _down(lane, vocabulary), lane.open_since)
    return _full(batch, lane, vocabulary) or await _deferred(services, batch)


def _down(lane: LaneStatus, vocabulary: LaneVocabulary) -> str:
    """Why the breaker of a lane is open."""
    reason = lane.open_reason or "no answer"
    return f"The {vocabulary.lane} takes nothing now: {vocabulary.codes.get(reason, reason)}"


def _full(batch: Batch, lane: LaneStatus | None, vocabulary: LaneVocabulary) -> Holding | None:
    """Everything that it may use at once is in use."""
    if batch.cap is not None and batch.counts.active >= batch.cap:
        return Holding("limit_full", f"All {batch.cap} of this batch's {vocabulary.items} at once are in use")
    if batch.max_cost is not None and batch.run_cost:
        left = batch.max_cost - batch.counts.spent - batch.counts.active * batch.run_cost
        if batch.counts.active and left < batch.run_cost:
            text = f"What is left of its budget is set aside for the {vocabulary.items} that are active"
            return Holding("budget_reserved", text)
    if lane is not None and lane.active >= lane.cap:
        return Holding("limit_full", f"All {lane.cap} {vocabulary.slots} are taken")
    return None


def _paused(batch: Batch, vocabulary: LaneVocabulary) -> Holding:
    code, _, detail = (batch.pause_reason or "paused").partition(":")
    if code == "failing":
        text = f"The last {vocabulary.items} all ended alike ({detail or 'failed'}), so the batch paused itself"
        return Holding("failing", f"{text}; look, then resume", batch.paused_at)
    if code not in _PAUSED:
        code = "paused"
    return Holding(code, _PAUSED[code].format(items=vocabulary.items, lost=vocabulary.lost), batch.paused_at)


async def _deferred(services: Services, batch: Batch) -> Holding | None:
    """Everything that is left waits for a later time."""
    if batch.counts.active or batch.next_at is None or batch.next_at <= batch.read_at + _SOON:
        return None
    _, items = await services.store.items(batch.id, ItemState.waiting, limit=1, bare=True)
    reason = items[0].reason if items else None
    if reason in _DEFERRED:
        text = _DEFERRED[reason].format(hours=batch.hours, at=utc(batch.next_at))
        return Holding("number_busy" if reason == "ref_active" else str(reason), text)
    return Holding("next_attempt", f"What is left is tried again from {utc(batch.next_at)}")
