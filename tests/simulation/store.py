"""A process's store: the operations of every store, sent to the one simulated database."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from covey.domain.batch import Batch, StopReason
from covey.domain.clock import Clock
from covey.domain.errors import Unavailable
from covey.domain.liveness import Look, Observer
from covey.domain.run import Finished
from covey.store.operations.transaction import micros
from covey.store.results import Claim, FinishReport, Stopped, WorkerInfo
from covey.store.store import Operation, Store

from .database import Done, Locking, SimulatedDatabase
from .ledger import Ledger
from .locks import Hold, Locks
from .network import Link

T = TypeVar("T")
Wrote = Callable[[Any], None]

OTHERS = (
    "SELECT id, dead_at IS NULL FROM workers WHERE dead_at IS NULL OR id IN (SELECT worker FROM live WHERE state = 1)"
)


class SimulatedStore(Store):
    """What one process has in its hands of the database. Tells the ledger of every write in its moment."""

    def __init__(
        self, database: SimulatedDatabase, link: Link, locks: Locks, clock: Clock, ledger: Ledger, name: str
    ) -> None:
        self._database = database
        self.link = link
        self._locks = locks
        self._clock = clock
        self._ledger = ledger
        self._name = name
        self._wrote: Wrote | None = None
        self.hold: Hold | None = None
        self._observer: Observer | None = None

    async def open(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def backup(self, path: str) -> None:
        raise Unavailable("nobody makes copies here")

    @property
    def waiting(self) -> int:
        return 0

    async def workers(self) -> list[WorkerInfo]:
        raise Unavailable("nobody asks here")

    async def _write(self, operation: Operation[T], *, urgent: bool = False, rows: int = 1) -> T:
        wrote, self._wrote = self._wrote, None

        def note(result: Any, error: BaseException | None) -> None:
            self._ledger.committed(self._name, result, error, wrote)

        return await self.link.ask(partial(self._database.execute, operation), note)  # type: ignore[no-any-return]

    async def _read(self, operation: Operation[T]) -> T:
        return await self.link.ask(partial(self._database.execute, operation))  # type: ignore[no-any-return]

    async def _page(self, operation: Operation[T]) -> T:
        return await self._read(operation)

    # What the ledger has to know of

    async def claim(self, worker: str, lane: str, room: int) -> Claim:
        if self.hold is not None and not self.hold.sure:
            raise Unavailable("nobody answers the beats")
        if self.hold is not None and self.hold.settling:
            raise Unavailable("everybody compares what is in their hands first")
        self._wrote = partial(self._ledger.claimed, worker, lane, room)
        claim = await super().claim(worker, lane, room)
        self._ledger.received(claim)
        return claim

    async def finish(self, worker: str, finished: Sequence[Finished]) -> FinishReport:
        group = list(finished)
        self._wrote = partial(self._ledger.finished, worker, group)
        return await super().finish(worker, group)

    async def stop(
        self,
        workspace: str,
        batch: str,
        reason: StopReason,
        *,
        abort: bool = False,
        message: str | None = None,
        actor: str | None = None,
    ) -> Stopped:
        self._wrote = partial(self._ledger.stopped, batch)
        return await super().stop(workspace, batch, reason, abort=abort, message=message, actor=actor)

    async def pause(self, workspace: str, batch: str, reason: str, actor: str | None = None) -> Batch:
        self._wrote = partial(self._ledger.paused, batch, reason)
        return await super().pause(workspace, batch, reason, actor)

    async def resume(self, workspace: str, batch: str, actor: str | None = None) -> Batch:
        self._wrote = partial(self._ledger.paused, batch, None)
        return await super().resume(workspace, batch, actor)

    async def drop(self, workspace: str, batch: str, seq: int, actor: str | None = None) -> bool:
        self._wrote = partial(self._ledger.taken_back.dropped, batch, seq)
        return await super().drop(workspace, batch, seq, actor)

    async def settle(self, worker: str, hold: Mapping[str, timedelta]) -> int:
        self._wrote = partial(self._ledger.settled, worker)
        return await super().settle(worker, hold)

    # Who is alive

    async def enlist(self, worker: str) -> None:
        self.hold = Hold(worker, self.link, self._locks, self._clock)
        self._observer = Observer(worker)
        await self.hold.take()

        async def begin(database: Any) -> None:
            await database.write("worker_new", {"worker": worker, "now": micros(await database.now())})

        self._wrote = partial(self._ledger.enlisted, worker)
        await self._write(begin)

    async def retire(self, worker: str) -> None:
        self._wrote = partial(self._ledger.retired, worker)
        await self._write(partial(_end, worker))
        self._locks.end(worker)

    async def dead_workers(self, me: str) -> list[str]:
        assert self._observer is not None, "only who was enlisted looks"
        assert self.hold is not None
        asked = self._clock.monotonic()
        looks, left = await self.link.ask(self._look_around)
        at = self._clock.monotonic()
        verdict = self._observer.look(looks, at, self.hold.since, at - asked)
        for worker in verdict.frozen:
            await self.link.ask(partial(self._end_session, worker))
        for worker in verdict.dead:
            if await self._declare_dead(worker):
                left.append(worker)
        return [worker for worker in left if worker != me]

    def _look_around(self, done: Done) -> None:
        now, held = self._database.clock.monotonic(), self._locks.held
        looks, left = [], []
        for worker, alive in self._database.connection.execute(OTHERS):
            if alive:
                session = held.get(worker)
                looks.append(Look(worker, session is not None, 0.0 if session is None else now - session.beat_at))
            else:
                left.append(worker)
        done((looks, left), None)

    def _end_session(self, worker: str, done: Done) -> None:
        self._ledger.ends_session(worker)
        self._locks.end(worker)
        done(None, None)

    async def _declare_dead(self, worker: str) -> bool:
        def declare(done: Done) -> None:
            if self._database.claims(worker):  # the claim holds the worker's row
                self.link._loop.at(self.link._loop.time() + 0.001, declare, done)
            elif worker in self._locks.held:
                done(False, None)
            else:
                self._database.execute(partial(_end, worker), done)

        def note(result: Any, error: BaseException | None) -> None:
            self._ledger.committed(
                self._name, result, error, lambda ended: self._ledger.evicted(worker) if ended else None
            )

        return bool(await self.link.ask(declare, note))


async def _end(worker: str, database: Locking) -> bool:
    return bool(await database.run("worker_dead", {"worker": worker, "now": micros(await database.now())}))
