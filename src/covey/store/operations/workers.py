"""The rows of workers. Who is alive is for each database to say."""

from collections.abc import Mapping
from typing import Any

from covey.store.operations.transaction import Database, micros, moment
from covey.store.results import WorkerInfo


async def enlist(database: Database, worker: str) -> None:
    """Begin a worker's life; see `Liveness.enlist`."""
    await database.write("worker_new", {"worker": worker, "now": micros(await database.now())})


async def retire(database: Database, worker: str) -> None:
    """End a worker's life; see `Liveness.retire`."""
    await database.write("worker_dead", {"worker": worker, "now": micros(await database.now())})


async def listed(database: Database, params: Mapping[str, Any] | None = None) -> list[WorkerInfo]:
    """See `Liveness.workers`. `params` are what the database's own statement asks for."""
    return [
        WorkerInfo(
            id=row.id,
            alive=bool(row.has_lock),
            active=row.active,
            started_at=moment(row.started_at),
            dead_at=moment(row.dead_at),
            beat_seconds=None if row.beat_age is None else row.beat_age / 1e6,
            host=row.host,
            pid=row.pid,
            version=row.version,
        )
        for row in await database.named("lives_list", params or {})
    ]
