"""Two stores on one database, and the moments of time that a pair of operations meets in.

A moment is the whole content of the database. It is made once by real operations, kept, and put back before each
pair, so that what two operations come to can be compared row by row with what they come to one after the other.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import psycopg
from psycopg import sql

from covey.domain.account import Workspace
from covey.domain.batch import NewItem, Quota, StopReason
from covey.domain.errors import Conflict, NotFound
from covey.domain.lane import Lane
from covey.domain.run import Blame, Failed, Finished, Outcome, Progress, Retry, Succeeded
from covey.store.operations import drafts
from covey.store.operations.transaction import Database
from covey.store.postgres.connection import lent
from covey.store.postgres.heartbeat import LOCK_CLASS
from covey.store.postgres.store import PostgresStore
from covey.store.postgres.transaction import PostgresTransaction
from covey.store.results import Claim
from covey.store.store import Operation, T

from ...clock import NOON, ManualClock
from ...conformance.conftest import WORKER, Scene
from ...conformance.databases import DATABASES
from ...patience import patience

TABLES = (
    "workspaces", "batches", "counts", "outcomes", "items", "live", "busy_refs", "runs", "limits", "shares", "held",
    "events", "usage",
)  # fmt: skip
DOOMED = "doomed"
"""The worker that dies."""

LIKE_NO_OTHER = Quota(unended_batches=100, waiting_items=1000, duplicate_window=timedelta(hours=1))

Rows = dict[str, list[dict[str, Any]]]


class Clock(ManualClock):
    """A clock that goes back, too."""

    def to(self, at: datetime) -> None:
        """Set it."""
        self._now = at


class Gate:
    """Where an operation stands still: before its step number `at`, or, if it has fewer, before its commit."""

    def __init__(self, at: int | None = None) -> None:
        self.there, self.go = asyncio.Event(), asyncio.Event()
        self.at_its_end = False
        self._left = at

    async def step(self, database: Database, *, last: bool = False) -> None:
        """One step begins. All before it is sent and done."""
        if self._left is not None:
            self._left -= 1
        if (last or self._left == -1) and not self.there.is_set():
            await database.value("lives_backend", {})
            self.at_its_end = last
            self.there.set()
            async with patience():
                await self.go.wait()


class Watched:
    """A transaction of which each step passes the gate."""

    def __init__(self, database: Database, gate: Gate) -> None:
        self._database = database
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._database, name)
        if name == "array":
            return method

        async def step(*parameters: Any) -> Any:
            await self._gate.step(self._database)
            return await method(*parameters)

        return step


class Held(PostgresStore):
    """A store whose next transaction passes a gate, if there is one."""

    gate: Gate | None = None

    async def _write(self, operation: Operation[T], *, urgent: bool = False, rows: int = 1) -> T:
        return await super()._write(self._through_the_gate(operation), urgent=urgent, rows=rows)

    async def append(self, batch: str, first_seq: int, items: Any) -> None:
        operation = self._through_the_gate(lambda db: drafts.append(db, batch, first_seq, items))
        async with lent(self._pool) as connection, connection.transaction():
            await operation(PostgresTransaction(connection, self._clock))

    def _through_the_gate(self, operation: Operation[T]) -> Operation[T]:
        gate, self.gate = self.gate, None
        if gate is None:
            return operation

        async def held(database: Database) -> T:
            result = await operation(cast(Database, Watched(database, gate)))
            await gate.step(database, last=True)
            return result

        return held


DONE = Succeeded("done")
DOWN = Failed("far_side_error", "", blame=Blame.either)


@dataclass
class Names:
    """What the operations are about: a batch, perhaps another one, and a draft beside it with its twin."""

    clock: Clock
    batch: str
    draft: str
    twin: str
    older: str = ""

    def run(self, seq: int, batch: str | None = None, outcome: Outcome = DONE) -> Finished:
        """An item's first run, which succeeded unless told otherwise."""
        now = self.clock.now()
        return Finished(batch or self.batch, seq, 1, outcome, now - timedelta(seconds=5), now)


Act = Callable[["Held", Names], Awaitable[Any]]


@dataclass
class Pair:
    """Two processes, their database, and a bystander who looks behind it."""

    one: Held
    other: Held
    behind: psycopg.AsyncConnection[Any]
    clock: Clock
    moments: dict[str, tuple[Names, Rows]] = field(default_factory=dict)
    _serial: dict[tuple[str, str, str], tuple[Any, Rows]] = field(default_factory=dict)

    # What is in the database

    async def look(self) -> Rows:
        """Everything; the events without their numbers."""
        parts = " UNION ALL ".join(
            f"SELECT '{table}', coalesce(jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)), '[]') FROM {table} t"
            for table in TABLES
        )
        found: Rows = dict(await self._rows(parts))
        found["workers"] = [{"dead": (await self._rows(_DOOMED_IS_DEAD))[0][0]}]
        for one in found["events"]:
            del one["id"]
        return found

    async def clear(self) -> None:
        """Remove everything but the workers."""
        await self._put_back({table: [] for table in TABLES} | {"workers": [{"dead": False}]})

    async def _put_back(self, kept: Rows) -> None:
        parts = [sql.SQL("DELETE FROM {}").format(sql.Identifier(table)) for table in TABLES]
        for table in [table for table in TABLES if kept[table]]:
            into = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM jsonb_populate_recordset(NULL::{}, {}::jsonb)")
            columns = sql.SQL(", ").join(map(sql.Identifier, kept[table][0]))
            rows = sql.Literal(json.dumps(kept[table]))
            parts.append(into.format(sql.Identifier(table), columns, columns, sql.Identifier(table), rows))
        dead = sql.Literal(1 if kept["workers"][0]["dead"] else None)
        parts.append(sql.SQL("UPDATE workers SET dead_at = {} WHERE id = {}").format(dead, sql.Literal(DOOMED)))
        await self.behind.execute(sql.SQL("BEGIN; {}; COMMIT").format(sql.SQL("; ").join(parts)))

    async def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return await (await self.behind.execute(query.encode())).fetchall()

    async def add_worker(self, worker: str, *, alive: bool) -> None:
        """A worker of which there is a row and, if it is alive, a lock."""
        await self._rows(
            "INSERT INTO workers (id, host, pid, version, started_at, beat_at)"
            f" SELECT '{worker}', '', 1, '', 0, {_TOMORROW} RETURNING id"
        )
        if alive:
            await self._lock("pg_advisory_lock", worker)

    async def _lock(self, what: str, worker: str) -> None:
        await self._rows(f"SELECT {what}({LOCK_CLASS}, lock_key) FROM workers WHERE id = '{worker}'")

    async def _about_to_die(self) -> None:
        """Both processes have seen the doomed worker alive, and then its lock free."""
        await self._lock("pg_advisory_lock", DOOMED)
        await self._look_around()
        await self._lock("pg_advisory_unlock", DOOMED)
        await self._look_around()

    async def _look_around(self) -> None:
        for store in (self.one, self.other):
            assert await ACTS["declare"](store, self.names) == []

    async def wrong(self) -> dict[str, dict[str, tuple[int, int]]]:
        """The batches whose counts are not what their rows say, and the lanes whose slots are not."""
        batches = [
            id_.hex()
            for (id_,) in await self._rows("SELECT id FROM batches WHERE accepted_at > 0 AND erased_at IS NULL")
        ]
        found = {batch: await self.one.recount(batch) for batch in batches}
        found |= {lane: {"active": (kept, real)} for lane, kept, real in await self._rows(_SLOTS) if kept != real}
        return {name: what for name, what in found.items() if what}

    async def deadlocks(self) -> int:
        """How many there have been in this database."""
        return int(
            (await self._rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))[0][0]
        )

    # Two operations

    async def begin(self, moment: str, *acts: str) -> None:
        """Put a moment back in which these are to happen."""
        self.names, rows = self.moments[moment]
        self.clock.to(NOON + timedelta(minutes=2))
        await self._put_back(rows)
        if "declare" in acts:
            await self._about_to_die()

    async def one_after_the_other(self, moment: str, first: str, second: str) -> tuple[Any, Rows]:
        """What two operations return, and what they leave, if the second begins when the first has ended."""
        known = (moment, first, second)
        if known not in self._serial:
            await self.begin(moment, first, second)
            results = [await told(ACTS[first](self.one, self.names)), await told(ACTS[second](self.other, self.names))]
            self._serial[known] = results, await self.look()
        return self._serial[known]

    async def either_order(self, moment: str, first: str, second: str) -> list[tuple[Any, Rows]]:
        """What two operations return, in this order, and leave, whichever begins when the other has ended."""
        (other, one), rows = await self.one_after_the_other(moment, second, first)
        return [await self.one_after_the_other(moment, first, second), ([one, other], rows)]

    async def at_once(self, first: str, second: str, gate: Gate) -> tuple[Any, str]:
        """Start the second while the first stands still in its transaction, at `gate` (or has ended before it): their
        results, and whether the second `waits` for the first or `passes`."""
        self.one.gate = gate
        one = asyncio.ensure_future(told(ACTS[first](self.one, self.names)))
        there = asyncio.ensure_future(gate.there.wait())
        await asyncio.wait([one, there], return_when=asyncio.FIRST_COMPLETED)
        there.cancel()
        other = asyncio.ensure_future(told(ACTS[second](self.other, self.names)))
        how = await self._waits_or_passes(other)
        gate.go.set()
        return [await one, await other], how

    @asynccontextmanager
    async def next_life_waits(self) -> AsyncIterator[None]:
        """The lock that the next life will take is somebody else's."""
        ((key,),) = await self._rows("SELECT last_value + 1 FROM worker_keys")
        await self._rows(f"SELECT pg_advisory_lock({LOCK_CLASS}, {key})")
        try:
            yield
        finally:
            await self._rows(f"SELECT pg_advisory_unlock({LOCK_CLASS}, {key})")

    async def somebody_waits(self) -> None:
        """Return when a session waits for another."""
        await self._waits_or_passes(asyncio.get_running_loop().create_future())

    async def so_many_wait(self, sessions: int) -> None:
        """Return when so many sessions wait for others."""
        async with patience():
            while (await self._rows(_WAITING))[0][0] < sessions:
                await asyncio.sleep(0)

    async def _waits_or_passes(self, task: asyncio.Future[Any]) -> str:
        async with patience():
            while not task.done():
                if (await self._rows(_WAITING))[0][0]:
                    return "waits"
                await asyncio.wait([task], timeout=0.002)
        return "passes"


_TOMORROW = "(extract(epoch FROM clock_timestamp() + interval '1 day') * 1000000)::bigint"
"""A beat that is never too old."""

_DOOMED_IS_DEAD = f"SELECT dead_at IS NOT NULL FROM workers WHERE id = '{DOOMED}'"
_VISIBLE = "SELECT id FROM batches WHERE accepted_at IS NOT NULL AND erased_at IS NULL"
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND NOT l.granted"
    " WHERE a.datname = current_database() AND cardinality(pg_blocking_pids(a.pid)) > 0"
)
_SLOTS = (
    "SELECT lane, active, (SELECT count(*) FROM live JOIN counts USING (batch) WHERE state = 1 AND lane = limits.lane)"
    " + (SELECT count(*) FROM held WHERE held.lane = limits.lane) FROM limits"
)


async def told(operation: Awaitable[Any]) -> Any:
    """What an operation returned, as text, or the code of what it refused. That there is no answer is an error. When a
    claim may be asked again is left out: one that waited says `at once`, as it does not look for another batch."""
    try:
        result = await operation
        return repr(result.portion if isinstance(result, Claim) else result)
    except (Conflict, NotFound) as refused:
        return refused.code


ACTS: dict[str, Act] = {
    "claim": lambda store, names: store.claim(WORKER, "lane", 2),
    "claim of the doomed": lambda store, names: store.claim(DOOMED, "lane", 2),
    "finish": lambda store, names: store.finish(WORKER, [names.run(3)]),
    "fail": lambda store, names: store.finish(WORKER, [names.run(3, outcome=DOWN)]),
    "fail elsewhere": lambda store, names: store.finish(WORKER, [names.run(0, names.older, DOWN)]),
    "open the lane's breaker": lambda store, names: store.open_lane(
        "lane", names.clock.now() + timedelta(minutes=1), "silent"
    ),
    "finish of the doomed": lambda store, names: store.finish(DOOMED, [names.run(1)]),
    "truth": lambda store, names: store.finish(DOOMED, [names.run(0)]),
    "both truths": lambda store, names: store.finish(DOOMED, [names.run(0, names.older), names.run(0)]),
    "advance": lambda store, names: store.advance(WORKER, [Progress(names.batch, 3, 1, 1.0, 2.0)]),
    "stop": lambda store, names: store.stop("w", names.batch, StopReason.cancel, abort=True),
    "pause": lambda store, names: store.pause("w", names.batch, "p"),
    "settle": lambda store, names: store.settle(DOOMED, {"lane": timedelta(minutes=10)}),
    "declare": lambda store, names: store.dead_workers(next(iter(store.lives._lives))),
    "expire": lambda store, names: store.expire(),
    "append": lambda store, names: store.append(names.draft, 2, [NewItem(b"{}")]),
    "append more": lambda store, names: store.append(names.draft, 3, [NewItem(b"{}")]),
    "accept": lambda store, names: store.accept(names.draft, 2, LIKE_NO_OTHER),
    "accept what was appended": lambda store, names: store.accept(names.draft, 3, LIKE_NO_OTHER),
    "accept the twin": lambda store, names: store.accept(names.twin, 1, LIKE_NO_OTHER),
    "discard": lambda store, names: store.discard(names.draft),
    "sweep drafts": lambda store, names: store.sweep_drafts("me"),
    "erase": lambda store, names: store.erase_batch("w", names.batch),
    "sweep": lambda store, names: store.sweep_erased(),
    "sweep leftovers": lambda store, names: store.sweep_leftovers(),
}
"""The operations. `sweep` is the second half of a delete, `truth` a finish of what was settled as unknown."""


async def busy(scene: Scene, **facts: Any) -> Names:
    """Item 0 was settled as unknown and holds its slot and ref; 1 is in the hands of the doomed worker, 3 in those of
    the other; 2 is due again; the rest waits. Two slots of the lane are free. And there are two drafts of one
    fingerprint."""
    people = [NewItem(b"{}", ref=f"person {n} of list {len(scene.batches)}") for n in range(8)]
    batch = await scene.submit(people, max_tries=2, exclusive=True, **facts)
    await scene.take(1, worker=DOOMED)
    await scene.store.settle(DOOMED, {"lane": timedelta(seconds=30)})
    await scene.take(1, worker=DOOMED)
    await scene.finish(await scene.take(2), Retry(scene.now, Failed("busy", "")), seqs=[2])
    return Names(cast(Clock, scene.clock), batch, await draft(scene, 2), await draft(scene, 1))


async def draft(scene: Scene, items: int) -> str:
    """A draft of the doomed worker, with its items."""
    new = scene.new(fingerprint="alike")
    await scene.store.draft(new, DOOMED)
    await scene.store.append(new.id, 0, [NewItem(b"{}")] * items)
    return new.id


async def shared(scene: Scene) -> Names:
    """Busy, and another workspace's batch has an active item on the same lane."""
    names = await busy(scene)
    older = await scene.submit(1, workspace="v")
    assert (await scene.take(1)).batch == older
    return replace(names, older=older)


async def late(scene: Scene) -> Names:
    """Busy, and its time is over."""
    return await busy(scene, expires_at=scene.after(60))


async def stopped(scene: Scene) -> Names:
    """Busy, and was stopped: what was deferred waits to be swept, and the kept slot is past its time."""
    names = await busy(scene)
    await scene.stop(names.batch)
    return names


async def ending(scene: Scene) -> Names:
    """Stopped, with nothing left but item 3."""
    names = await stopped(scene)
    await scene.store.finish(DOOMED, [names.run(1)])
    return names


async def ended(scene: Scene) -> Names:
    """All is over; the truth about item 0 may still come."""
    names = await ending(scene)
    await scene.store.finish(WORKER, [names.run(3)])
    return names


async def erased(scene: Scene) -> Names:
    """Two ended batches are hidden, the younger one first; their rows wait to be removed."""
    older = await ended(scene)
    scene.clock.advance(1)
    names = await ended(scene)
    await scene.store.erase_batch("w", names.batch)
    scene.clock.advance(1)
    await scene.store.erase_batch("w", older.batch)
    return replace(names, older=older.batch)


async def orphaned(scene: Scene) -> Names:
    """Busy, and the owner of the drafts is dead."""
    names = await busy(scene)
    await scene.store.retire(DOOMED)
    return names


MOMENTS = {make.__name__: make for make in (busy, shared, late, stopped, ending, ended, erased, orphaned)}


async def make_moments(pair: Pair) -> None:
    """Make every moment of MOMENTS, and `emptied`: erased, with all removed but the last rows."""
    for name, make in MOMENTS.items():
        await pair.clear()
        pair.clock.to(NOON)
        await pair.one.put_lane(Lane("lane", 5))
        await pair.one.add_workspace(Workspace("w", "W", NOON))
        names = await make(Scene(pair.one, pair.clock, DATABASES["postgres"]))
        pair.moments[name] = names, await pair.look()
    names, rows = pair.moments["erased"]
    pair.moments["emptied"] = names, {**rows, "items": [], "runs": [], "live": []}
