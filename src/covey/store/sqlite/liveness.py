"""Which worker is alive. One process owns a SQLite database, so every worker but its own is dead."""

from datetime import datetime

from covey.domain.breaker import FRESH
from covey.domain.clock import Clock
from covey.domain.lane import Lane, LaneStatus
from covey.store.ports import Dropped
from covey.store.sqlite.database import Database, Row, micros, moment
from covey.store.sqlite.finish import write_breaker


def enlist(database: Database, clock: Clock, worker: str) -> None:
    """Begin a worker's life; see `Liveness.enlist`."""
    database.run("worker_new", {"worker": worker, "now": micros(clock.now())})


def retire(database: Database, clock: Clock, worker: str) -> None:
    """End a worker's life; see `Liveness.retire`."""
    database.run("worker_dead", {"worker": worker, "now": micros(clock.now())})


def dead_workers(database: Database, clock: Clock, me: str) -> list[str]:
    """Declare every other worker dead; see `Liveness.dead_workers`."""
    found = [str(row[0]) for row in database.rows("workers_to_settle", {"me": me})]
    for worker in found:
        retire(database, clock, worker)
    return found


def in_hand(database: Database, worker: str) -> list[tuple[str, int, int]]:
    """See `Liveness.in_hand`."""
    return [(batch.hex(), seq, attempt) for batch, seq, attempt in database.rows("in_hand", {"worker": worker})]


def to_drop(database: Database, worker: str) -> list[Dropped]:
    """See `Liveness.to_drop`."""
    return [
        Dropped(batch.hex(), seq, attempt, reason)
        for batch, seq, attempt, reason in database.rows("to_drop", {"worker": worker})
    ]


def put_lane(database: Database, lane: Lane) -> None:
    """See `Lanes.put_lane`."""
    database.run("lane_put", {"lane": lane.name, "cap": lane.cap, "pace": lane.pace})


def lane(database: Database, name: str) -> LaneStatus | None:
    """See `Lanes.lane`."""
    row = database.row("lane_row", {"lane": name})
    return None if row is None else _status(row)


def lanes(database: Database) -> list[LaneStatus]:
    """See `Lanes.lanes`."""
    return [_status(row) for row in database.named("lanes", {})]


def _status(row: Row) -> LaneStatus:
    return LaneStatus(
        name=row.lane,
        cap=row.cap,
        pace=row.pace,
        active=row.active,
        open_until=moment(row.open_until),
        open_reason=row.open_reason,
        open_since=moment(row.open_since),
    )


def open_lane(database: Database, clock: Clock, name: str, until: datetime, reason: str) -> None:
    """See `Lanes.open_lane`."""
    now = micros(clock.now())
    database.run("lane_open", {"lane": name, "until": micros(until), "reason": reason, "now": now})


def close_lane(database: Database, name: str) -> None:
    """See `Lanes.close_lane`."""
    write_breaker(database, name, FRESH)
