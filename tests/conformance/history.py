"""A history as it goes: the model beside the store, and what must hold after every step."""

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine

from covey.domain.batch import Batch, StopReason
from covey.domain.lane import SPACING, START_HORIZON
from covey.domain.run import Claimed, Finished
from covey.store.results import Claim, FinishReport
from covey.store.store import Store

from ..clock import ManualClock
from .databases import Database
from .model import ModelBatch, What, outcome

CAP, PACE = 4, 10.0
GAP = timedelta(seconds=SPACING / PACE) - timedelta(microseconds=5)

Key = tuple[str, int, int]


@dataclass
class World:
    """What all histories of a test share: one store, one loop, one clock. Each has names of its own in it."""

    loop: asyncio.AbstractEventLoop
    store: Store
    clock: ManualClock
    database: Database
    names: "itertools.count[int]" = field(default_factory=itertools.count)


class History(RuleBasedStateMachine):
    """What must hold after every step, and what every step needs."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.store, self.clock = world, world.store, world.clock
        self.name = next(world.names)
        self.lane, self.workspace = f"lane-{self.name}", f"workspace-{self.name}"
        self.lives = 0
        self.worker = ""
        self.batches: dict[str, ModelBatch] = {}
        self.hand: dict[Key, str] = {}
        self.lost: dict[Key, None] = {}
        self.unknown: dict[Key, str] = {}
        self.held: dict[Key, datetime] = {}
        self.starts: list[datetime] = []
        self.started: set[Key] = set()
        # Batches that ended and were looked at since: nothing changes them but what names them.
        self.closed: set[str] = set()

    def run(self, step: Coroutine[Any, Any, None]) -> None:
        """One step, and the proof that all is as the model says."""

        async def whole() -> None:
            await step
            await self.check()

        self.world.loop.run_until_complete(whole())

    @property
    def now(self) -> datetime:
        return self.clock.now()

    async def check(self) -> None:
        models = [model for model in self.batches.values() if model.id not in self.closed]
        recounts = [self.store.recount(model.id) for model in models]
        pages = [self.store.items(model.id, limit=len(model.items)) for model in models]
        recounted, found, _ = await asyncio.gather(
            asyncio.gather(*recounts), asyncio.gather(*pages), self.check_limits()
        )
        assert recounted == [{}] * len(models)
        for model, (batch, items) in zip(models, found, strict=True):
            self.sync_stop(model, batch)
            assert [item.state.value for item in items] == [item.state for item in model.items]
            assert model.agrees(batch.counts), batch.counts
            assert [item.tries for item in items if item.last] == [
                one.tries for one, item in zip(model.items, items, strict=True) if item.last
            ]
            assert model.max_cost is None or model.spent + model.reserved <= model.max_cost
            assert not model.broke or model.paused or batch.next_at is not None, "nobody would stop it"
            assert not model.broke or not model.spent, "the run after which nothing fitted should have stopped it"
            assert (batch.stop_reason, batch.aborted_at is not None) == (model.stopped, model.aborted)
            assert batch.ended == (model.count("waiting") + model.count("active") == 0)
            assert all(model.items[seq].state == "canceled" for seq in model.canceled_by_stop)
            if batch.ended:
                self.closed.add(model.id)

    def sync_stop(self, model: ModelBatch, batch: Batch) -> None:
        """A batch whose time is over may be stopped by whoever looks first, one whose money is gone too."""
        if model.stopped is None and batch.stop_reason is StopReason.budget:
            assert model.broke
            model.stop(StopReason.budget, abort=False)
        overdue = model.expires_at is not None and model.expires_at <= self.now
        if model.stopped is None and batch.stop_reason is StopReason.expire and overdue:
            model.stop(StopReason.expire, abort=model.repeatable)
        paused = batch.paused_at is not None
        if paused and not model.paused and (batch.pause_reason or "").startswith("failing:"):
            model.paused = True
        assert paused == model.paused or not model.open

    async def check_limits(self) -> None:
        status = await self.store.lane(self.lane)
        assert status is not None
        active = sum(model.count("active") for model in self.batches.values())
        assert status.active == active + len(self.held) <= CAP
        refs = [
            item.ref
            for model in self.batches.values()
            for item in model.items
            if model.exclusive and item.state == "active" and item.ref is not None
        ]
        assert len(refs) == len(set(refs))
        assert all(model.cap is None or model.count("active") <= model.cap for model in self.batches.values())

    def claimed(self, claim: Claim, *, seen: bool = True) -> None:
        """Nothing is handed out that must not start, and nothing twice."""
        if claim.portion is None:
            return
        model = self.batches[claim.portion.batch]
        assert model.open
        assert not model.paused
        assert model.start_at is None or model.start_at <= self.now
        assert model.expires_at is None or model.expires_at > self.now
        for run in claim.portion.runs:
            self.handed_out(model, run)
            key = (model.id, run.seq, run.attempt)
            assert key not in self.started
            self.started.add(key)
            if seen:
                self.hand[key] = self.worker
            else:
                self.lost[key] = None

    def handed_out(self, model: ModelBatch, run: Claimed) -> None:
        item = model.items[run.seq]
        assert item.state == "waiting"
        assert run.seq not in model.canceled_by_stop
        assert item.due is None or item.due <= self.now
        assert run.attempt > item.attempt
        assert run.tries == item.tries < model.max_tries
        assert self.now <= run.start_at <= self.now + START_HORIZON
        assert not self.starts or run.start_at - self.starts[-1] >= GAP
        self.starts.append(run.start_at)
        item.state, item.attempt, item.worker, item.due = "active", run.attempt, self.worker, None

    async def finished(self, key: Key, what: What, report: FinishReport, *, settled: bool = False) -> None:
        """The model after a finish that the store took."""
        batch, seq, _ = key
        assert settled or (report.written, report.stale) == (1, ())
        status = await self.store.lane(self.lane)
        assert status is not None
        self.batches[batch].end(seq, what, self.now, lane_works=status.open_until is None)
        self.hand.pop(key, None)
        self.lost.pop(key, None)

    def as_finished(self, key: Key, what: What) -> Finished:
        return Finished(*key, outcome(what, self.now), self.now, self.now)

    def any_batch(self, pick: int) -> ModelBatch:
        return list(self.batches.values())[pick % len(self.batches)]

    def any_in_hand(self, pick: int) -> Key:
        return list(self.hand)[pick % len(self.hand)]
