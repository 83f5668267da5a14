"""Endpoints: made, changed under their lock, read, deleted."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from covey.domain.errors import Conflict, NotFound
from covey.domain.webhook import ITEM_EVENTS, Endpoint
from covey.store.operations.rows import EndpointRow
from covey.store.operations.transaction import Database, key, load, micros, moment, text

ORPHANED = timedelta(hours=1)
"""So long after it was made an endpoint of a single batch goes if there is no such batch: it was refused, or the
process ended between the two."""

EVERY_BATCH = b""


async def put_endpoint(database: Database, endpoint: Endpoint, most: int | None = None) -> Endpoint:
    """Create an endpoint unless there is one of this id; the one that is there then.

    Raises Conflict `too_many_endpoints` if the workspace has `most` already (those of single batches, and those
    without an address, do not count; None: no limit), NotFound if the id is a deleted one's or another workspace's.
    """
    if most is not None:
        await _check_room(database, endpoint.workspace, most)
    made = {
        "workspace": endpoint.workspace,
        "style": endpoint.style,
        "kind": endpoint.kind,
        "batch": EVERY_BATCH if endpoint.batch is None else key(endpoint.batch),
        "created_at": micros(endpoint.created_at),
    }
    await database.write("endpoint_new", {**_changing(endpoint), **made})
    return await read_endpoint(database, endpoint.workspace, endpoint.id)


async def _check_room(database: Database, workspace: str, most: int) -> None:
    """Nobody else makes an endpoint in this workspace until this transaction ends."""
    await database.lock("lock_workspace", {"workspace": workspace})
    there = await database.value("endpoints_count", {"workspace": workspace})
    if there >= most:
        raise Conflict(
            f"the workspace has {there} webhook endpoints, as many as it may have: delete one first",
            code="too_many_endpoints",
        )


async def change_endpoint(
    database: Database, workspace: str, endpoint: str, change: Callable[[Endpoint], Endpoint]
) -> Endpoint:
    """Write what `change` makes of the endpoint as it is; what it is then. Nobody else changes it meanwhile.

    `change` may be called more than once; it makes no request, keeps to what it is given, and leaves id, workspace,
    style, kind and batch alone. Raises NotFound.
    """
    await database.lock("lock_endpoints", {"endpoints": [endpoint]})
    changed = change(await read_endpoint(database, workspace, endpoint))
    await database.write("endpoint_change", {**_changing(changed), "failing_since": micros(changed.failing_since)})
    return changed


def _changing(endpoint: Endpoint) -> dict[str, Any]:
    """What of an endpoint can change, as it is stored."""
    return {
        "endpoint": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": f" {' '.join(endpoint.events)} ",
        "items": int(not set(ITEM_EVENTS).isdisjoint(endpoint.events)),
        "singles": int(endpoint.singles),
        "secrets": text([[b64encode(secret).decode(), micros(until)] for secret, until in endpoint.secrets]),
        "off_at": micros(endpoint.off_at),
        "off_reason": endpoint.off_reason,
        "sweep_at": micros(_sweep_at(endpoint)),
    }


def _sweep_at(endpoint: Endpoint) -> datetime | None:
    """When the sweeper is to look at it."""
    if endpoint.off_at is not None or endpoint.batch is None:
        return endpoint.off_at
    return endpoint.created_at + ORPHANED


def endpoint_of(row: EndpointRow) -> Endpoint:
    """A row of the table as an endpoint."""
    return Endpoint(
        id=row.id,
        workspace=row.workspace,
        url=row.url,
        style=row.style,
        events=tuple(row.events.split()),
        secrets=tuple((b64decode(secret), moment(until)) for secret, until in load(row.secrets)),
        created_at=moment(row.created_at),
        description=row.description,
        kind=row.kind,
        batch=row.batch.hex() or None,
        singles=bool(row.singles),
        failing_since=moment(row.failing_since),
        delivered_at=moment(row.delivered_at),
        off_at=moment(row.off_at),
        off_reason=row.off_reason,
    )


async def endpoint(database: Database, workspace: str, endpoint: str) -> Endpoint:
    """One endpoint. Raises NotFound."""
    return await read_endpoint(database, workspace, endpoint)


async def read_endpoint(database: Database, workspace: str, id: str) -> Endpoint:
    """One endpoint; see `endpoint`."""
    row = await database.row("endpoint_read", {"endpoint": id})
    if row is None or row.workspace != workspace:
        raise NotFound(f"there is no endpoint {id}")
    return endpoint_of(row)


async def endpoints(database: Database, workspace: str) -> list[Endpoint]:
    """All but those of a single batch, oldest first."""
    return [endpoint_of(row) for row in await database.named("endpoints", {"workspace": workspace})]


async def delete_endpoint(database: Database, workspace: str, endpoint: str) -> None:
    """Delete an endpoint with its deliveries: it is hidden at once, and the sweeper removes them in pieces. Raises
    NotFound."""
    await read_endpoint(database, workspace, endpoint)
    await database.write("endpoint_erase", {"endpoint": endpoint, "now": micros(await database.now())})
