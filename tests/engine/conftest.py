"""A worker on a real store, a clock that the test moves, and a runner whose runs end when the test says so."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from covey.domain.batch import NewBatch, NewItem, Quota
from covey.domain.ids import new_id
from covey.domain.lane import Lane
from covey.engine.dispatcher import Dispatcher
from covey.engine.runner import Outcome, Run
from covey.engine.wakeups import Wakeups
from covey.engine.worker import Worker
from covey.metrics import Metrics
from covey.store.results import WorkerInfo
from covey.store.sqlite import SqliteStore

from ..clock import ManualClock
from ..conformance.databases import open_sqlite
from ..patience import patience

LANE = "lane"
ANY = Quota(allow_duplicate=True)


class ManualRunner:
    """A runner at whose desk runs lie until somebody answers for them. `wrong` is what a ping says."""

    kind = "desk"

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._came = asyncio.Condition()
        self._answers: dict[int, asyncio.Future[Outcome]] = {}
        self.runs: dict[int, Run] = {}
        self.wrong: str | Exception | None = None

    async def run(self, run: Run) -> Outcome:
        run.started = self._clock.monotonic()
        self.runs[run.seq] = run
        self._answers[run.seq] = asyncio.get_running_loop().create_future()
        async with self._came:
            self._came.notify_all()
        try:
            return await self._answers[run.seq]
        finally:
            del self.runs[run.seq]

    def load_config(self, config: bytes) -> Any:
        return orjson.loads(config)

    async def ping(self, lane: str) -> str | None:
        if isinstance(self.wrong, Exception):
            raise self.wrong
        return self.wrong

    async def lying(self, count: int) -> list[int]:
        """Wait until `count` runs lie here; their items."""
        async with self._came, patience():
            await self._came.wait_for(lambda: len(self.runs) == count)
        return sorted(self.runs)

    def answer(self, seq: int, outcome: Outcome | BaseException) -> None:
        """The run of item `seq` comes to `outcome`, or its runner crashes."""
        if isinstance(outcome, BaseException):
            self._answers[seq].set_exception(outcome)
        else:
            self._answers[seq].set_result(outcome)


@dataclass
class EngineHarness:
    """All parts of one process, wired."""

    store: SqliteStore
    clock: ManualClock
    runner: ManualRunner
    capacity: int = 10
    wakeups: Wakeups = field(default_factory=Wakeups)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.worker = self.another()

    def another(self) -> Worker:
        """Another life of a process."""
        return Worker(self.store, self.clock, self.wakeups, {LANE: self.runner}, self.capacity, self.metrics)

    @property
    def dispatcher(self) -> Dispatcher:
        return self.worker.dispatchers[LANE]

    def new(self, **facts: object) -> NewBatch:
        ready = {"workspace": "w", "kind": "desk", "lane": LANE, "config": b'{"say":"hello"}', **facts}
        return NewBatch(id=new_id(self.clock.now()), created_at=self.clock.now(), **ready)  # type: ignore[arg-type]

    async def submit(self, items: int, **facts: object) -> str:
        """A batch of so many items; its id."""
        new = self.new(**facts)
        await self.store.draft(new, self.worker.id)
        await self.store.append(new.id, 0, [NewItem(b"{}") for _ in range(items)])
        await self.store.accept(new.id, items, ANY)
        return new.id

    async def written(self, outcomes: int) -> None:
        """Write down what has ended, once so many runs have."""
        async with patience():
            while self.worker.completer.waiting < outcomes:
                await asyncio.sleep(0)
        while self.worker.completer.waiting:
            await self.worker.completer.round()


def beside_another(engine: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a database that processes share: another worker is alive."""

    async def workers() -> list[WorkerInfo]:
        return [WorkerInfo(name, True, 0, engine.clock.now()) for name in (engine.worker.id, "another")]

    monkeypatch.setattr(engine.store, "workers", workers)


@pytest.fixture
async def engine() -> AsyncIterator[EngineHarness]:
    clock = ManualClock()
    async with open_sqlite(clock) as store:
        assert isinstance(store, SqliteStore)
        await store.put_lane(Lane(LANE, 100))
        engine = EngineHarness(store, clock, ManualRunner(clock))
        await engine.worker.enlist()
        yield engine
        batches, _ = await engine.store.batches(None, origin=None, limit=1000)
        for batch in batches:
            assert await engine.store.recount(batch.id) == {}
        await engine.store.close()
