"""A scene that makes histories short to write, on each of the databases of `databases.py`."""

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from covey.domain.batch import Batch, Counts, NewBatch, NewItem, Quota, StopReason
from covey.domain.ids import new_id
from covey.domain.lane import Lane
from covey.domain.run import ClaimedRuns, Finished, Outcome, Succeeded
from covey.store.results import FinishReport
from covey.store.store import Store

from ..clock import ManualClock
from .databases import DATABASES, Database

WORKER = "worker-1"
FREE = Quota(unended_batches=1_000_000, waiting_items=1 << 40, allow_duplicate=True)


@dataclass
class Scene:
    """A store, its clock, the hints that it told, and the batches that a test made."""

    store: Store
    clock: ManualClock
    database: Database
    heard: list[str] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    workspaces: dict[str, str] = field(default_factory=dict)
    """The workspace of each batch."""
    _names: Iterator[int] = field(default_factory=itertools.count)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def after(self, seconds: float) -> datetime:
        """The time in `seconds`."""
        return self.clock.now() + timedelta(seconds=seconds)

    def new(self, **facts: Any) -> NewBatch:
        """A batch before its items, of workspace `w` on lane `lane` unless told otherwise."""
        ready = {"workspace": "w", "kind": "kind", "lane": "lane", "config": b'{"say":"hello"}', **facts}
        return NewBatch(id=new_id(self.now), created_at=self.now, **ready)

    async def submit(
        self, items: int | Sequence[NewItem] = 1, *, quota: Quota = FREE, actor: str | None = None, **facts: Any
    ) -> str:
        """A batch, accepted; its id."""
        rows = [NewItem(b'{"row":%d}' % n) for n in range(items)] if isinstance(items, int) else list(items)
        new = self.new(**facts)
        await self.store.draft(new, WORKER)
        await self.store.append(new.id, 0, rows)
        await self.store.accept(new.id, len(rows), quota, actor)
        self.batches.append(new.id)
        self.workspaces[new.id] = new.workspace
        return new.id

    async def claim(self, room: int = 100, *, worker: str = WORKER, lane: str = "lane") -> ClaimedRuns | None:
        """One claim; the bite."""
        return (await self.store.claim(worker, lane, room)).portion

    async def take(self, room: int = 100, *, worker: str = WORKER, lane: str = "lane") -> ClaimedRuns:
        """One claim that must bring something."""
        portion = await self.claim(room, worker=worker, lane=lane)
        assert portion is not None, "the claim brought nothing"
        return portion

    async def finish(
        self,
        portion: ClaimedRuns,
        outcome: Outcome | None = None,
        *,
        seqs: Sequence[int] | None = None,
        worker: str = WORKER,
    ) -> FinishReport:
        """Finish the runs of a bite (those of `seqs`), all with one outcome."""
        ended = [
            Finished(portion.batch, run.seq, run.attempt, outcome or Succeeded("done"), run.start_at, self.now)
            for run in portion.runs
            if seqs is None or run.seq in seqs
        ]
        return await self.store.finish(worker, ended)

    async def one(self, outcome: Outcome, *, worker: str = WORKER, lane: str = "lane") -> FinishReport:
        """Claim one item and finish it."""
        return await self.finish(await self.take(1, worker=worker, lane=lane), outcome, worker=worker)

    async def counts(self, batch: str) -> Counts:
        """The counts of a batch."""
        return (await self.store.batch(batch)).counts

    async def bury(self, worker: str) -> None:
        """The worker's process dies, and whoever looks finds out."""
        await self.database.kill(self.store, worker)
        assert worker in await self.store.dead_workers(WORKER)

    async def stop(self, batch: str, *, abort: bool = False) -> Batch:
        """Cancel a batch."""
        return (await self.store.stop(self.workspaces[batch], batch, StopReason.cancel, abort=abort)).batch


def numbers(counts: Counts) -> tuple[int, int, int, int, int]:
    """(waiting, active, succeeded, failed, canceled)."""
    return counts.waiting, counts.active, counts.succeeded, counts.failed, counts.canceled


def seqs(portion: ClaimedRuns | None) -> list[int]:
    """The items of a bite."""
    return [] if portion is None else [run.seq for run in portion.runs]


def refs(*names: str | None) -> list[NewItem]:
    """Items about these refs."""
    return [NewItem(b"{}", ref=name) for name in names]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> Database:
    found: Database = DATABASES[request.param]
    return found


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
async def store(database: Database, clock: ManualClock, heard: list[str]) -> AsyncIterator[Store]:
    async with database.open(clock, heard.append) as opened:
        await opened.enlist(WORKER)
        await opened.put_lane(Lane("lane", 100))
        yield opened


@pytest.fixture
def scene(store: Store, clock: ManualClock, database: Database, heard: list[str]) -> Scene:
    return Scene(store, clock, database, heard)


@pytest.fixture(autouse=True)
async def counts_agree_with_the_rows(scene: Scene) -> AsyncIterator[None]:
    """After every test: the counts of every batch that it made are what its rows say."""
    yield
    for batch in scene.batches:
        assert await scene.store.recount(batch) == {}
