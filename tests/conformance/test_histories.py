"""Histories: hypothesis makes up what happens, a model says what must come of it, every step is counted again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from covey.domain.batch import Batch, NewBatch, NewItem, StopReason
from covey.domain.errors import Conflict, Unavailable
from covey.domain.lane import Lane
from covey.store.results import FinishReport

from ..clock import ManualClock
from .conftest import FREE
from .databases import Database
from .history import CAP, PACE, History, Key, World
from .model import PRICES, ModelBatch, ModelItem, What

PARTS = 8
"""The thousand histories come in so many tests, so that none of them takes long; the default suite runs one of them."""

HOLD = 30.0
DAY = 86_400.0

some = st.integers(0, 99)
what_runners_say = st.sampled_from([what for what in What if what is not What.lost])


class Histories(History):
    """One workspace on one lane, one worker at a time, its predecessors' late words, and a person who interferes."""

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        await self.store.put_lane(Lane(self.lane, CAP, PACE))
        await self.live()

    async def live(self) -> None:
        """A new worker's life begins."""
        self.lives += 1
        self.worker = f"{self.lane}-{self.lives}"
        await self.store.enlist(self.worker)

    @precondition(lambda self: len(self.batches) < 3)
    @rule(
        refs=st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=6),
        max_tries=st.integers(1, 3),
        exclusive=st.booleans(),
        repeatable=st.booleans(),
        cap=st.sampled_from([None, None, 1, 2]),
        later=st.sampled_from([0, 0, 0, 3]),
        expires=st.sampled_from([DAY, DAY, DAY, 20]),
        max_cost=st.sampled_from([None, None, 3, 7, 12]),
        run_cost=st.sampled_from([0, 4, 5, 6]),
    )
    def submit(self, refs: list[str | None], later: float, expires: float, **facts: Any) -> None:
        start = self.now + timedelta(seconds=later) if later else None
        model = ModelBatch(
            # In one history ids rise, so that what goes by them is the same when a history is repeated.
            id=f"{int(self.now.timestamp()):08x}{self.name:06x}{len(self.batches):04x}000000",
            items=[ModelItem(ref) for ref in refs],
            start_at=start,
            expires_at=self.now + timedelta(seconds=expires),
            **facts,
        )
        self.batches[model.id] = model
        self.run(self._submit(model))

    async def _submit(self, model: ModelBatch) -> None:
        new = NewBatch(
            model.id,
            self.workspace,
            "kind",
            self.lane,
            b"{}",
            self.now,
            start_at=model.start_at,
            expires_at=model.expires_at,
            max_tries=model.max_tries,
            repeatable=model.repeatable,
            exclusive=model.exclusive,
            cap=model.cap,
            prices=PRICES,
            max_cost=model.max_cost,
            run_cost=model.run_cost,
        )
        await self.store.draft(new, self.worker)
        await self.store.append(new.id, 0, [NewItem(b"{}", ref=item.ref) for item in model.items])
        await self.store.accept(new.id, len(model.items), FREE)

    @rule(room=st.integers(1, 5), seen=st.sampled_from([True, True, True, False]))
    def claim(self, room: int, *, seen: bool) -> None:
        """`seen` False: it was written, but the answer never reached the worker."""
        self.run(self._claim(room, seen=seen))

    async def _claim(self, room: int, *, seen: bool = True) -> None:
        claim = await self.store.claim(self.worker, self.lane, room)
        self.claimed(claim, seen=seen)

    @precondition(lambda self: self.hand)
    @rule(pick=some, what=what_runners_say)
    def finish(self, pick: int, what: What) -> None:
        self.run(self._finish(self.any_in_hand(pick), what))

    async def _finish(self, key: Key, what: What) -> None:
        report = await self.store.finish(self.worker, [self.as_finished(key, what)])
        await self.finished(key, what, report)

    @precondition(lambda self: self.started)
    @rule(pick=some, what=what_runners_say, older=st.booleans())
    def finish_stale(self, pick: int, what: What, *, older: bool) -> None:
        """A run that is in nobody's hands any more, or never was, changes nothing."""
        batch, seq, attempt = sorted(self.started)[pick % len(self.started)]
        key = (batch, seq, attempt - 1 if older else attempt)
        worker = f"{self.worker}-other" if key in self.hand or key in self.lost else self.worker
        if key not in self.unknown:
            self.run(self._stale(worker, key, what))

    async def _stale(self, worker: str, key: Key, what: What) -> None:
        self.closed.discard(key[0])
        report = await self.store.finish(worker, [self.as_finished(key, what)])
        assert (report.written, report.stale) == (0, (key,))

    @precondition(lambda self: self.hand)
    @rule(pick=some, what=what_runners_say)
    def finish_twice_at_once(self, pick: int, what: What) -> None:
        self.run(self._finish_twice(self.any_in_hand(pick), what))

    async def _finish_twice(self, key: Key, what: What) -> None:
        once = self.as_finished(key, what)
        report = await self.store.finish(self.worker, [once, once])
        assert (report.written, report.stale) == (1, (key,))
        await self.finished(key, what, replace(report, stale=()))

    @precondition(lambda self: self.batches)
    @rule(pick=some, reason=st.sampled_from(StopReason), abort=st.booleans())
    def stop(self, pick: int, reason: StopReason, *, abort: bool) -> None:
        self.run(self._stop(self.any_batch(pick), reason, abort=abort))

    async def _stop(self, model: ModelBatch, reason: StopReason, *, abort: bool) -> None:
        self.closed.discard(model.id)
        first = model.open
        stopped = await self.store.stop(self.workspace, model.id, reason, abort=abort)
        model.stop(reason, abort=abort)
        assert stopped.first == first
        assert model.agrees(stopped.batch.counts)
        again = await self.store.stop(self.workspace, model.id, reason, abort=abort)
        assert (again.first, again.batch.counts) == (False, stopped.batch.counts)

    @precondition(lambda self: self.batches)
    @rule(pick=some, order=st.sampled_from(["pause", "resume", "resume", "cap"]), cap=st.sampled_from([None, 1, 3]))
    def interfere(self, pick: int, order: str, cap: int | None) -> None:
        self.run(self._interfere(self.any_batch(pick), order, cap))

    async def _interfere(self, model: ModelBatch, order: str, cap: int | None) -> None:
        if order == "cap" and cap is not None and cap < model.count("active"):
            return
        orders: dict[str, Callable[[], Awaitable[Batch]]] = {
            "pause": lambda: self.store.pause(self.workspace, model.id, "p"),
            "resume": lambda: self.store.resume(self.workspace, model.id),
            "cap": lambda: self.store.adjust(self.workspace, model.id, {"cap": cap}),
        }
        if not model.open:
            with pytest.raises(Conflict):
                await orders[order]()
            return
        await orders[order]()
        if order == "cap":
            model.cap = cap
        else:
            model.paused = order == "pause"

    @precondition(lambda self: self.hand or self.lost)
    @rule(pick=some)
    def drop(self, pick: int) -> None:
        keys = sorted([*self.hand, *self.lost])
        self.run(self._drop(keys[pick % len(keys)]))

    async def _drop(self, key: Key) -> None:
        assert await self.store.drop(self.workspace, key[0], key[1])
        self.batches[key[0]].items[key[1]].dropped = True
        told = {(one.batch, one.seq, one.attempt) for one in await self.store.to_drop(self.worker)}
        assert told == {
            one
            for one in (*self.hand, *self.lost)
            if self.batches[one[0]].items[one[1]].dropped or self.batches[one[0]].aborted
        }

    @rule(hold=st.booleans())
    def crash(self, *, hold: bool) -> None:
        """The worker dies; the next one settles what it had in its hands."""
        self.run(self._crash(hold=hold))

    async def _crash(self, *, hold: bool) -> None:
        dead = self.worker
        await self.live()
        await self.world.database.kill(self.store, dead)
        assert dead in await self.store.dead_workers(self.worker)
        until = self.now + timedelta(seconds=HOLD) if hold else None
        while await self.store.settle(dead, {self.lane: timedelta(seconds=HOLD)} if hold else {}):
            pass
        for key in (*self.hand, *self.lost):
            if not self.batches[key[0]].repeatable:
                self.unknown[key] = dead
                if until is not None:
                    self.held[key] = until
        for key in [*self.hand, *self.lost]:
            await self.finished(key, What.lost, FinishReport(1), settled=True)

    @precondition(lambda self: self.unknown)
    @rule(pick=some, what=st.sampled_from([What.good, What.bad]))
    def late_truth(self, pick: int, what: What) -> None:
        key = list(self.unknown)[pick % len(self.unknown)]
        self.run(self._late_truth(key, what))

    async def _late_truth(self, key: Key, what: What) -> None:
        self.closed.discard(key[0])
        report = await self.store.finish(self.unknown.pop(key), [self.as_finished(key, what)])
        assert report.written == 1
        self.held.pop(key, None)
        item = self.batches[key[0]].items[key[1]]
        item.state, item.code = ("succeeded", "good") if what is What.good else ("failed", "bad")
        if what is What.good:
            self.batches[key[0]].charge()

    @precondition(lambda self: self.lost)
    @rule()
    def reconcile(self) -> None:
        """What the store believes in the worker's hands and never was goes back."""
        self.run(self._reconcile())

    async def _reconcile(self) -> None:
        missing = set(await self.store.in_hand(self.worker)) - set(self.hand)
        assert missing == set(self.lost)
        for key in sorted(missing):
            await self._finish(key, What.not_started)

    @rule(seconds=st.sampled_from([0.05, 0.1, 0.3, 1.0, 3.0, 12.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def sweep(self) -> None:
        self.run(self._sweep())

    async def _sweep(self) -> None:
        while await self.store.expire():
            pass
        while await self.store.sweep_leftovers():
            pass
        self.held = {key: until for key, until in self.held.items() if until > self.now}
        overdue = [model for model in self.batches.values() if model.expires_at and model.expires_at <= self.now]
        assert [(await self.store.batch(model.id)).stopped_at for model in overdue if model.open].count(None) == 0

    @precondition(lambda self: self.batches and self.world.database.full_disk is not None)
    @rule(pick=some, what=what_runners_say)
    def full_disk(self, pick: int, what: What) -> None:
        """The disk is full in the middle of a group: what was not acknowledged did not happen, the rest did."""
        self.run(self._full_disk(pick, what))

    async def _full_disk(self, pick: int, what: What) -> None:
        full_disk = self.world.database.full_disk
        assert full_disk is not None
        keys = [self.any_in_hand(pick)] if self.hand else []
        finishes = [self.as_finished(key, what) for key in keys]
        report, claim = await full_disk(
            self.store,
            [
                lambda: self.store.finish(self.worker, finishes),
                lambda: self.store.claim(self.worker, self.lane, 2),
            ],
        )
        if isinstance(report, Exception):
            assert isinstance(report, Unavailable)
        elif keys:
            await self.finished(keys[0], what, report)
        if isinstance(claim, Exception):
            assert isinstance(claim, Unavailable)
        else:
            self.claimed(claim)

    # However it went: all that is still open comes to its end

    def teardown(self) -> None:
        if self.worker:
            self.world.loop.run_until_complete(self._drain())

    async def _drain(self) -> None:
        for model in self.batches.values():
            if model.open and model.paused:
                await self._interfere(model, "resume", None)
        await self._reconcile()
        for _ in range(100):
            for key in list(self.hand):
                await self._finish(key, What.good)
            if not any(model.open for model in self.batches.values()):
                break
            self.clock.advance(31)
            await self._sweep()
            for model in self.batches.values():
                self.sync_stop(model, await self.store.batch(model.id))
            await self._claim(5)
        self.closed.clear()
        await self.check()
        assert not any(model.open for model in self.batches.values()), "something never came to its end"


@pytest.mark.histories
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))])
def test_histories(database: Database, part: int) -> None:
    """A thousand histories (on PostgreSQL a hundred), of thirty steps on average; with the profile `soak`, a hundred
    times as many."""
    profile = settings(
        max_examples=10 * settings().max_examples // PARTS // database.slower,
        stateful_step_count=45,
        suppress_health_check=[HealthCheck.too_slow],
    )
    with asyncio.Runner() as runner:
        loop, clock = runner.get_loop(), ManualClock()
        opened = database.open(clock)
        store = loop.run_until_complete(opened.__aenter__())
        try:
            world = World(loop, store, clock, database)

            class Here(Histories):
                def __init__(self) -> None:
                    super().__init__(world)

            run_state_machine_as_test(Here, settings=profile)
        finally:
            loop.run_until_complete(opened.__aexit__(None, None, None))
