"""Deliveries: rows that are claimed when they are due, sent, and settled; swept with their endpoints."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any

from covey.domain.errors import Conflict, NotFound
from covey.domain.webhook import Delivery, DeliveryState
from covey.store.operations.endpoints import endpoint_of, read_endpoint
from covey.store.operations.rows import DeliveryRow
from covey.store.operations.transaction import Database, Row, key, load, micros, moment
from covey.store.results import Due, Tried

AT_ONCE = 4
QUICK_AT_ONCE = 16
"""So many deliveries of one endpoint are on their way from one process at once: of most, and of one that answers
quickly. Of one that fails, only one."""

FAILING_WITHIN = 96
"""Endpoints that fail get a place while fewer than so many are taken: receivers that hang must not take all."""

PIECE = 500
"""How many deliveries one transaction gives up or brings back."""

LATE_COMERS = timedelta(minutes=1)
"""So long after an endpoint went there may still be a transaction that tells it something."""

LOOKED_AT_EVERY = timedelta(minutes=1)
"""So often it is seen whether something still waits for an endpoint whose batch is gone."""

GONE = "The receiver answered 410: it wants no more of this"
SILENT = "The receiver accepted nothing for {days:g} days"
OFF = "The endpoint was switched off"


async def claim_deliveries(
    database: Database,
    lease: timedelta,
    limit: int,
    busy: Mapping[str, int],
    *,
    quick: Set[str] = frozenset(),
    resting: Set[str] = frozenset(),
) -> list[Due]:
    """Take deliveries that are due, of every endpoint only so many that with those in `busy` (endpoint → how many
    are on their way) each has at most a few, those in `quick` some more, those in `resting` none. Each is due again
    after `lease`, whatever becomes of the taker.

    Endpoints get their turns one by one, those that fail last: however many
    deliveries wait for one, another's are not kept waiting by them."""
    now = await database.now()
    asked = {"now": micros(now), "most": QUICK_AT_ONCE, "limit": limit + len(busy.keys() | resting)}
    free = {}
    for id_, failing, due in await database.rows("endpoints_due", asked):
        most = 0 if id_ in resting else 1 if failing else QUICK_AT_ONCE if id_ in quick else AT_ONCE
        free[id_] = (bool(failing), min(due, most - busy.get(id_, 0)))
    wanted = [(micros(now + lease), id_, micros(now), n) for id_, n in _shares(free, limit, sum(busy.values())).items()]
    taken = [_delivery(row) for row in await database.each_named("deliveries_take", wanted)]
    there = sorted({delivery.endpoint for delivery in taken})
    found = {row.id: endpoint_of(row) for row in await database.each_named("endpoint_row", [(id_,) for id_ in there])}
    return [Due(delivery, found[delivery.endpoint]) for delivery in taken if delivery.endpoint in found]


def _shares(free: Mapping[str, tuple[bool, int]], limit: int, taken: int) -> dict[str, int]:
    """How many deliveries each endpoint gets of `limit`, one in turn. `room` is (whether it fails, how many it may
    have), in the order of their turns; `taken` places are taken already."""
    shares: dict[str, int] = {}
    end = taken + limit
    for turn in range(QUICK_AT_ONCE):
        for id_, (failing, most) in free.items():
            if turn < most and taken < (min(end, FAILING_WITHIN) if failing else end):
                shares[id_] = turn + 1
                taken += 1
    return shares


async def settle_deliveries(database: Database, tries: Sequence[tuple[str, Tried]]) -> None:
    """Write what tries came to, by the id of their deliveries. An endpoint that answered 410, or had no success for
    too long, is switched off.

    A try whose delivery has ended meanwhile, or whose endpoint is deleted, changes
    nothing. The endpoints are locked first, by all that change them and their deliveries, in one order."""
    asked = sorted({key(id_) for id_, _ in tries})
    to: dict[bytes, str] = dict(await database.each("deliveries_to", [(id_,) for id_ in asked]))
    await database.lock("lock_endpoints", {"endpoints": sorted(set(to.values()))})
    now = await database.now()
    there = sorted(((key(id_), tried) for id_, tried in tries if key(id_) in to), key=lambda one: one[0])
    accepted = [(micros(now), tried.status, id_) for id_, tried in there if tried.accepted]
    worked = sorted({row[0] for row in await database.each("delivery_accepted", accepted)})
    await database.many("endpoint_worked", [(micros(now), id_) for id_ in worked])
    skipped = [(micros(now), id_) for id_, tried in there if tried.error is None and not tried.accepted]
    await database.many("delivery_skipped", skipped)
    for id_, tried in there:
        if tried.error is not None and await _refused(database, id_, tried, now):
            await _failed(database, to[id_], now, tried, worked=to[id_] in worked)


async def _refused(database: Database, id_: bytes, tried: Tried, now: datetime) -> bool:
    """A delivery was not accepted; whether it was still waiting for that."""
    again = None if tried.gone else tried.again_at
    refused = {"status": tried.status, "error": (tried.error or "").replace("\0", ""), "next_at": micros(again)}
    ended = {"ended_at": micros(now) if again is None else None}
    return bool(await database.run("delivery_refused", {"id": id_, **refused, **ended}))


async def _failed(database: Database, id_: str, now: datetime, tried: Tried, *, worked: bool) -> None:
    """An endpoint did not accept something: it may be time to switch it off. One that accepted something else at the
    same moment does not fail."""
    if tried.gone:
        reason = GONE
    elif worked:
        return
    else:
        since = moment(await database.value("endpoint_failed", {"endpoint": id_, "now": micros(now)}))
        if since is None or now - since < tried.off_after:
            return
        reason = SILENT.format(days=tried.off_after / timedelta(days=1))
    await database.write("endpoint_off", {"endpoint": id_, "now": micros(now), "off_reason": reason})
    await _give_up(database, id_, now, PIECE)


async def _give_up(database: Database, id_: str, now: datetime, limit: int) -> int:
    """Give up some of the deliveries that wait for an endpoint that is off; how many."""
    piece = {"endpoint": id_, "now": micros(now), "error": OFF, "limit": limit}
    return await database.run("deliveries_fail", piece)


async def delivery(database: Database, workspace: str, delivery: str) -> Delivery:
    """One delivery. Raises NotFound."""
    return await _read(database, workspace, delivery)


async def _read(database: Database, workspace: str, id: str) -> Delivery:
    row = await database.row("delivery_read", {"id": key(id)})
    if row is None or row.workspace != workspace:
        raise NotFound(f"there is no delivery {id}")
    return _delivery(row)


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(
        id=row.id.hex(),
        endpoint=row.endpoint,
        workspace=row.workspace,
        batch=row.batch.hex(),
        seq=row.seq,
        type=row.type,
        at=moment(row.at),
        data=load(row.data),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        next_at=moment(row.next_at),
        status=row.status,
        error=row.error,
        ended_at=moment(row.ended_at),
    )


async def deliveries(
    database: Database,
    workspace: str,
    *,
    endpoint: str | None = None,
    batch: str | None = None,
    state: DeliveryState | None = None,
    before: str | None = None,
    limit: int = 20,
) -> list[Delivery]:
    """A page, newest first; `before` is the id of the last one already seen."""
    page: dict[str, Any] = {"workspace": workspace, "state": state and state.value, "limit": limit}
    page["before"] = None if before is None else key(before)
    if batch is not None:
        rows = await database.named("deliveries_page_batch", {**page, "batch": key(batch), "endpoint": endpoint})
    elif endpoint is not None:
        rows = await database.named("deliveries_page_endpoint", {**page, "endpoint": endpoint})
    else:
        rows = await database.named("deliveries_page_workspace", page)
    return [_delivery(row) for row in rows]


async def send_one_again(database: Database, workspace: str, endpoint: str, delivery: str) -> int:
    """Have one delivery sent again, unless it waits anyway; how many. Raises NotFound, and Conflict `endpoint_off`."""
    await _lock_enabled(database, workspace, endpoint)
    found = await _read(database, workspace, delivery)
    if found.endpoint != endpoint:
        raise NotFound(f"there is no delivery {delivery} for this endpoint")
    return await database.run("delivery_again", {"id": key(delivery), "now": micros(await database.now())})


async def send_chunk_again(
    database: Database, workspace: str, endpoint: str, since: datetime, until: datetime | None
) -> tuple[int, datetime]:
    """Have some of the endpoint's deliveries that failed between two times (`until` None: now) sent again; how many,
    and the later time, to go on with. Raises NotFound, and Conflict `endpoint_off`."""
    await _lock_enabled(database, workspace, endpoint)
    now = await database.now()
    until = now if until is None else until
    chunk = {"now": micros(now), "since": micros(since), "until": micros(until), "limit": PIECE}
    return await database.run("deliveries_again", {"endpoint": endpoint, **chunk}), until


async def _lock_enabled(database: Database, workspace: str, id: str) -> None:
    """Lock an endpoint that is not switched off."""
    await database.lock("lock_endpoints", {"endpoints": [id]})
    if (await read_endpoint(database, workspace, id)).off_at is not None:
        raise Conflict("the endpoint is switched off: switch it on first", code="endpoint_off")


async def sweep_deliveries(database: Database, before: datetime, limit: int = 500) -> int:
    """Remove a piece of the deliveries that ended before a time, or whose endpoint was deleted, and give up those
    that wait for one that is switched off; how many. The endpoint of a batch that is gone goes once nothing waits
    for it."""
    if not await database.alone("sweep_deliveries"):
        return 0
    swept = await database.run("deliveries_old", {"ended_before": micros(before), "limit": limit})
    now = await database.now()
    for left in await database.named("endpoints_leftovers", {"now": micros(now)}):
        if swept >= limit:
            break
        swept += await _sweep_endpoint(database, left, now, limit - swept)
    return swept


async def _sweep_endpoint(database: Database, left: Row, now: datetime, limit: int) -> int:
    """Deal with some deliveries of an endpoint that is off or deleted; once there can be no more, it is done with. One
    whose batch never came, or is gone, is deleted when nothing waits for it any more."""
    await database.lock("lock_endpoints", {"endpoints": [left.id]})
    if left.erased:
        return await _sweep_erased(database, left, now, limit)
    swept = 0 if left.since is None else await _give_up(database, left.id, now, limit)
    if left.orphaned:
        if not left.waits:
            await database.write("endpoint_erase", {"endpoint": left.id, "now": micros(now)})
        elif left.since is None:
            await _look_again(database, left.id, now + LOOKED_AT_EVERY)
    elif left.since is None or (not swept and now - moment(left.since) >= LATE_COMERS):
        await _look_again(database, left.id, None)
    return swept


async def _sweep_erased(database: Database, left: Row, now: datetime, limit: int) -> int:
    swept = await database.run("deliveries_remove_endpoint", {"endpoint": left.id, "limit": limit})
    if not swept and now - moment(left.since) >= LATE_COMERS:
        await database.write("endpoint_remove", {"endpoint": left.id})
    return swept


async def _look_again(database: Database, id_: str, at: datetime | None) -> None:
    await database.write("endpoint_swept", {"endpoint": id_, "sweep_at": micros(at)})
