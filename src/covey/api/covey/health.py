"""Is the server alive, does it take work, what does it measure. No key is needed; nothing is said of any workspace."""

import asyncio
import shutil
from typing import Literal, NotRequired

from fastapi import Request, Response
from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from covey.api.kit.context import services_of
from covey.api.kit.errors import RETRY_AFTER, Answer
from covey.api.kit.openapi import ProbeRoute, new_router, said
from covey.api.kit.services import Services
from covey.disk import NoRoom
from covey.domain.batch import BatchState
from covey.domain.errors import CoveyError, DatabaseFull
from covey.metrics import CONTENT_TYPE

router = new_router("Health", answers={}, route_class=ProbeRoute)

_OPEN = (BatchState.queued, BatchState.scheduled, BatchState.running, BatchState.paused, BatchState.stopping)
_PAGE = 1000
"""So many batches that have not ended are counted; beyond that the figures are of the newest."""

READY_SECONDS = 2.0
"""A database that takes longer to say anything is as good as away: whoever asks gives up soon, too."""


@with_config(ConfigDict(extra="forbid"))
class Health(TypedDict):
    """How the server is."""

    status: Literal["ok", "unavailable"]
    message: NotRequired[str]


@router.get("/livez", summary="Is it alive", operation_id="livez", responses=said(s200=Health))
async def livez() -> Response:
    """200 while the process answers at all."""
    answer: Health = {"status": "ok"}
    return Answer(answer)


@router.get("/readyz", summary="Does it take work", operation_id="readyz", responses=said(s200=Health, s503=Health))
async def readyz(request: Request) -> Response:
    """200 while it takes work; 503 while it starts, drains, cannot reach its database or has no room to write, and for
    5 s after it stood still for more than a second."""
    services = services_of(request)
    why = services.ready() or await _store_answers(services)
    answer: Health = {"status": "unavailable", "message": why} if why else {"status": "ok"}
    return Answer(answer, 503 if why else 200, {"retry-after": str(RETRY_AFTER)} if why else None)


async def _store_answers(services: Services) -> str | None:
    """What is wrong with what it writes to. Where the last write found no room another one is tried: nobody else may
    write any more, as nobody sends requests to a server that is not ready."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            await services.store.lanes()
            if services.store.full:
                await services.store.check_room(services.worker)
            if services.file_room.full:
                await services.file_room.check(services.spool)
    except DatabaseFull:
        return "The database has no room left on its disk"
    except NoRoom:
        return "There is no room for files where the data folder is"
    except (CoveyError, TimeoutError):
        return "The database does not answer"
    return None


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    operation_id="metrics",
    responses={200: {"description": "The figures", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """What the server counts and measures. What the database has to say in it is at most two seconds old."""
    services = services_of(request)
    await _observe(services)
    return Response(services.metrics.render(), headers={"content-type": CONTENT_TYPE})


async def _observe(services: Services) -> None:
    """Read the figures that nobody pushes. What cannot be read keeps its last value."""
    metrics = services.metrics
    full = services.store.full or services.file_room.full
    metrics.ready.set(0 if services.ready() or full else 1)
    metrics.write_queue.set(services.write_queue())
    data = services.settings.data
    metrics.free_disk.set(shutil.disk_usage(data if data.exists() else ".").free)
    try:
        await services.observing.do(lambda: _observe_store(services), services.clock.monotonic())
    except CoveyError:
        metrics.ready.set(0)


async def _observe_store(services: Services) -> None:
    metrics = services.metrics
    for lane in await services.store.lanes():
        metrics.channels.labels(lane.name).set(lane.active)
        metrics.channel_limit.labels(lane.name).set(lane.cap)
        metrics.breaker.labels(lane.name).set(1 if lane.open_until else 0)
    found, _ = await services.store.batches(None, states=_OPEN, origin=None, limit=_PAGE)
    waiting = active = 0
    states = dict.fromkeys(_OPEN, 0)
    for batch in found:
        waiting += batch.counts.waiting
        active += batch.counts.active
        states[batch.state] = states.get(batch.state, 0) + 1
    metrics.runs.labels("waiting").set(waiting)
    metrics.runs.labels("active").set(active)
    for state, number in states.items():
        metrics.batches.labels(state.value).set(number)
