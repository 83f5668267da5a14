"""Which processes run batches now, for keys of role `admin`."""

from typing import Annotated, Literal

from fastapi import Query, Response
from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from covey.api.kit.context import Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.formats import iso
from covey.api.kit.openapi import new_router, said
from covey.store.results import WorkerInfo

router = new_router("Administration", "/v1/admin")

State = Literal["alive", "silent", "ended"]
"""`silent`: its session is gone, but it is not given up; it may come back."""


@with_config(ConfigDict(extra="forbid"))
class WorkerOut(TypedDict):
    """One life of a process that runs batches, and how many runs it has in hand."""

    id: str
    state: State
    active: int
    host: str | None
    process: int | None
    version: str | None
    startedAt: str
    endedAt: str | None
    secondsSinceSign: float | None


def worker_out(worker: WorkerInfo) -> WorkerOut:
    """A worker as the wire has it."""
    return {
        "id": worker.id,
        "state": _state(worker),
        "active": worker.active,
        "host": worker.host,
        "process": worker.pid,
        "version": worker.version,
        "startedAt": iso(worker.started_at),
        "endedAt": None if worker.dead_at is None else iso(worker.dead_at),
        "secondsSinceSign": None if worker.beat_seconds is None else round(worker.beat_seconds, 3),
    }


def _state(worker: WorkerInfo) -> State:
    if worker.dead_at is not None:
        return "ended"
    return "alive" if worker.alive else "silent"


@router.get("/workers", summary="List workers", operation_id="listWorkers", responses=said(s200=list[WorkerOut]))
async def list_workers(
    ctx: Ctx, all: Annotated[bool, Query(description="Also those that have ended lately, with nothing in hand")] = False
) -> Response:
    """The processes that run batches. One that ended stays until what it had in hand is settled."""
    found = [worker_out(each) for each in await ctx.services.store.workers()]
    return Answer([each for each in found if all or each["state"] != "ended" or each["active"]])
